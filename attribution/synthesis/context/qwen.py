"""Contexts by Qwen2.5-VL with the prompts of "Beyond Objects"; needs the extra `generation`.

The prompts are those that notes on the paper quote; the authors' captioning script was not seen.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from attribution.synthesis.context.captioner import NOTHING, Context
from models.published.untrusted import first_line

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
_PROMPT = (
    "describe the {} of the {descriptor} in as few words as possible. "
    "Refer to the {descriptor} as simply 'a {descriptor}'"
)
_LONGEST = 64  # tokens of an answer


class NoCaptioner(RuntimeError):
    """The captioner's weights are not to be had; the message says how to supply them."""


class QwenCaptioner:
    """Asks the model for background and pose, each alone, and takes its likeliest words.

    Args:
        weights: a local folder as the model's publisher lays it out, or its name on the hub.
        descriptor: what every subject is, such as "aircraft" or "pet".
        device: where torch computes.

    Raises:
        ImportError: the extra is not installed.
        NoCaptioner: there is no such folder and nothing could be downloaded, or it is unfit.
    """

    def __init__(self, weights: str = MODEL, *, descriptor: str, device: str = "cpu") -> None:
        if find_spec("transformers") is None:
            raise ModuleNotFoundError(
                "captions by Qwen2.5-VL need transformers: "
                'pip install "attribution[generation]", or caption with `plain`',
                name="transformers",
            )
        from transformers import (  # noqa: PLC0415  # seconds, and an extra
            AutoProcessor,
            Qwen2_5_VLForConditionalGeneration,
        )

        self.name = Path(weights).name
        self._descriptor = descriptor
        try:
            self._processor: Any = AutoProcessor.from_pretrained(weights)
            model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(weights)
        except (OSError, ValueError) as error:
            raise NoCaptioner(
                f"{weights}: no captioner could be loaded from there. Give a local folder with "
                "config.json, tokenizer and *.safetensors of Qwen2.5-VL, or a name that this "
                f"machine can download; or caption with `plain`. ({first_line(error)[:200]})"
            ) from error
        self._model: Any = model.to(device).eval()

    def describe(self, image: Image.Image) -> Context:
        """Two greedy answers, as one context."""
        picture = image.convert("RGB")
        background, pose = (self._asked(what, picture) for what in ("background", "pose"))
        return Context(background or NOTHING.background, pose or NOTHING.pose)

    def _asked(self, what: str, picture: Image.Image) -> str:
        import torch  # noqa: PLC0415  # with transformers

        told = [
            {"type": "image", "image": picture},
            {"type": "text", "text": _PROMPT.format(what, descriptor=self._descriptor)},
        ]
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": told}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device)
        with torch.no_grad():
            tokens = self._model.generate(**inputs, max_new_tokens=_LONGEST, do_sample=False)
        answer = self._processor.batch_decode(
            tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )[0]
        return " ".join(answer.split()).rstrip(".")

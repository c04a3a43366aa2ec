"""A text-to-image model from a folder: its networks, and what tells it from any other.

The folder has the layout of diffusers, as Stable Diffusion 1.5, 2.1 and XL are published in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.published.untrusted import first_line

_KINDS = {"StableDiffusionPipeline": False, "StableDiffusionXLPipeline": True}
_PATTERNS = ["*.json", "*.txt", "*/*.json", "*/*.txt", "*/*.safetensors", "*/*.model"]


class NoModel(RuntimeError):
    """There is no text-to-image model where one was named; the message says how to supply one."""


@dataclass(frozen=True, slots=True)
class Networks:
    """A loaded model.

    Attributes:
        pipeline: of diffusers, which holds every network.
        noise: the schedule of noise that it was trained with.
        extra_large: whether it has the two text encoders and the size conditions of SDXL.
        name: of the folder, with the start of `digest`.
        digest: hex sha256 of all weights as loaded.
    """

    pipeline: Any
    noise: Any
    extra_large: bool
    name: str
    digest: str

    @property
    def text_encoders(self) -> tuple[Any, ...]:
        """One, or the two of SDXL."""
        names = ("text_encoder", "text_encoder_2") if self.extra_large else ("text_encoder",)
        return tuple(getattr(self.pipeline, name) for name in names)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device(self.pipeline.device)

    def conditions(self, prompts: Sequence[str], side: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What the U-Net is told of prompts, by the very code that generates.

        Args:
            prompts: `n` of them.
            side: of the square pictures in pixels, which SDXL wants to know.

        Returns:
            `(n, tokens, d)`, and further conditions by name, none but for SDXL.
        """
        told = self.pipeline.encode_prompt(
            prompt=list(prompts),
            device=self.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        if not self.extra_large:
            return told[0], {}
        # Original size, offset of the crop and wanted size, in pixels.
        sizes = torch.tensor([[side, side, 0, 0, side, side]] * len(prompts), device=self.device)
        return told[0], {"text_embeds": told[2], "time_ids": sizes.to(told[0].dtype)}


def load_networks(weights: str | Path, *, device: str = "cpu") -> Networks:
    """Load a model in single precision, frozen and ready to generate.

    Args:
        weights: a folder, or a name that can be downloaded; pickled weights are not read.
        device: where torch computes.

    Raises:
        ModuleNotFoundError: the extra is not installed.
        NoModel: no such folder and nothing could be downloaded, or it is of another kind.
    """
    require_extra()
    folder = _folder(weights)
    extra_large = _kind(folder)
    import diffusers  # noqa: PLC0415  # seconds, and an extra

    # A picture that a checker made black, or that has a watermark, is no query of its source.
    kind, unfiltered = diffusers.StableDiffusionPipeline, {
        "safety_checker": None, "requires_safety_checker": False
    }  # fmt: skip
    if extra_large:
        kind, unfiltered = diffusers.StableDiffusionXLPipeline, {"add_watermarker": False}
    try:
        pipeline: Any = kind.from_pretrained(
            folder,
            torch_dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            **unfiltered,
        )
        noise = diffusers.DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
    except (OSError, ValueError) as error:
        reason = first_line(error)
        raise NoModel(f"{folder}: not a whole text-to-image model ({reason})") from error
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device)
    networks = [pipeline.unet, pipeline.vae, pipeline.text_encoder]
    networks += [pipeline.text_encoder_2] if extra_large else []
    for network in networks:
        network.requires_grad_(requires_grad=False).eval()
    digest = _digest(networks)
    return Networks(pipeline, noise, extra_large, f"{folder.name}-{digest[:12]}", digest)


def require_extra() -> None:
    """Raise ModuleNotFoundError, with what to install, where the extra is missing."""
    missing = [name for name in ("diffusers", "peft", "transformers") if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the diffusion generator needs {', '.join(missing)}: "
            'pip install "attribution[generation]", or use --generator patch, which needs nothing',
            name=missing[0],
        )


def _folder(weights: str | Path) -> Path:
    folder = Path(weights)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # only for what is not here

    try:
        return Path(snapshot_download(str(weights), allow_patterns=_PATTERNS))
    except Exception as error:
        raise NoModel(
            f"{weights}: no such folder, and no model of this name could be downloaded "
            f"({type(error).__name__}). Give a local folder in the layout of diffusers: "
            "model_index.json beside unet, vae, text_encoder, tokenizer and scheduler"
        ) from error


def _kind(folder: Path) -> bool:
    """Whether it is SDXL."""
    try:
        named = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return _KINDS[named["_class_name"]]
    except FileNotFoundError as error:
        raise NoModel(
            f"{folder}: has no model_index.json; a single file of weights can be converted by the "
            "scripts of diffusers"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise NoModel(
            f"{folder}: model_index.json names none of {', '.join(_KINDS)}, which can be tuned here"
        ) from error


def _digest(networks: Sequence[Any]) -> str:
    total = hashlib.sha256()
    for network in networks:
        for name, tensor in network.state_dict().items():
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            total.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()

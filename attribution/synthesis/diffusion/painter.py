"""Images from prompts by a text-to-image model, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from attribution.synthesis.diffusion.networks import Networks
from attribution.synthesis.diffusion.updates import load_updates
from models.digests import sha256_of

STEPS, GUIDANCE = 50, 2.0
"""The paper's: steps of the model's own sampler, and classifier-free guidance."""
AT_ONCE = 4
"""Images drawn together by default: where tuning on eight fits, so do these."""


class Painter:
    """Draws what a plan asks for; the same ones together have the same pixels on one machine.

    Args:
        networks: of a model without updates.
        updates: the file of `Tuning`, taken up into it; none for the model as it is.
        steps: of the sampler.
        guidance: how much stronger a prompt counts than none; 1 is no guidance.
        size: side of the images in pixels; by default the model's own.
        at_once: images that are drawn together, in the memory that so many take.
    """

    def __init__(
        self,
        networks: Networks,
        updates: Path | None = None,
        *,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        size: int | None = None,
        at_once: int = 1,
    ) -> None:
        self._networks, self._size, self.at_once = networks, size, at_once
        self._steps, self._guidance = steps, guidance
        tuned = ""
        if updates is not None:
            load_updates(networks, updates)
            tuned = f"+lora-{sha256_of(updates)[:12]}"
        self.name = f"{networks.name}{tuned} steps={steps} guidance={guidance:g} size={size or ''}"
        if at_once > 1:
            self.name += f" at_once={at_once}"

    def __call__(self, asked: Sequence[tuple[str, int]]) -> list[Image.Image]:
        """An RGB image of each prompt, from each seed."""
        return paint(
            self._networks,
            asked,
            steps=self._steps,
            guidance=self._guidance,
            size=self._size,
        )


def paint(
    networks: Networks,
    asked: Sequence[tuple[str, int]],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    size: int | None = None,
) -> list[Image.Image]:
    """Images by the model as it is now, one of each prompt and seed.

    Each has noise of its own, which comes from the CPU, whatever computes.
    """
    made: Any = networks.pipeline(
        prompt=[prompt for prompt, _ in asked],
        num_inference_steps=steps,
        guidance_scale=guidance,
        height=size,
        width=size,
        generator=[torch.Generator().manual_seed(seed) for _, seed in asked],
    )
    return [image.convert("RGB") for image in made.images]

"""Images from prompts by a text-to-image model, each from a seed of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from attribution.synthesis.diffusion.networks import Networks
from attribution.synthesis.diffusion.updates import load_updates
from models.digests import sha256_of

STEPS, GUIDANCE = 50, 2.0
"""The paper's: steps of the model's own sampler, and classifier-free guidance."""


class Painter:
    """Draws what a plan asks for; the same prompt and seed have the same pixels on one machine.

    Args:
        networks: of a model without updates.
        updates: the file of `Tuning`, taken up into it; none for the model as it is.
        steps: of the sampler.
        guidance: how much stronger a prompt counts than none; 1 is no guidance.
        size: side of the images in pixels; by default the model's own.
    """

    def __init__(
        self,
        networks: Networks,
        updates: Path | None = None,
        *,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        size: int | None = None,
    ) -> None:
        self._networks, self._size = networks, size
        self._steps, self._guidance = steps, guidance
        tuned = ""
        if updates is not None:
            load_updates(networks, updates)
            tuned = f"+lora-{sha256_of(updates)[:12]}"
        self.name = f"{networks.name}{tuned} steps={steps} guidance={guidance:g} size={size or ''}"

    def __call__(self, prompt: str, seed: int) -> Image.Image:
        """One image, RGB."""
        return paint(
            self._networks,
            prompt,
            seed,
            steps=self._steps,
            guidance=self._guidance,
            size=self._size,
        )


def paint(
    networks: Networks,
    prompt: str,
    seed: int,
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    size: int | None = None,
) -> Image.Image:
    """One image by the model as it is now; noise comes from the CPU, whatever computes."""
    made: Any = networks.pipeline(
        prompt=prompt,
        num_inference_steps=steps,
        guidance_scale=guidance,
        height=size,
        width=size,
        generator=torch.Generator().manual_seed(seed),
    )
    image: Image.Image = made.images[0]
    return image.convert("RGB")

"""How a text-to-image model is tuned to a few pictures: the settings, and what follows from them.

Defaults are those of "Beyond Objects" (arXiv 2510.24078) as its authors' program has them, where
they use ten GPUs with a batch of 8 each and this is one process.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_UNET = ("to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj")
_TEXT = ("q_proj", "k_proj", "v_proj", "out_proj")

Positive = Annotated[int, Field(ge=1)]


class TuningRecipe(BaseModel):
    """Settings of a run.

    Attributes:
        rank: of each low-rank update, whose scale is 1.
        size: side of the square crops in pixels.
        batch: pictures of a step.
        epochs: times that every picture is seen.
        learning_rate: its largest value, after the warm-up.
        warmup: steps over which it rises.
        weight_decay: of AdamW.
        largest_norm: to which the gradient of all updates together is cut.
        unet_modules: whose weights get an update in the U-Net.
        text_modules: the same in the text encoders.
        seed: of everything drawn.
        checkpoint_every: steps after which a kill loses nothing.
        sample_every: steps between samples; 0 makes none.
        sample_steps: of the sampler, for a sample.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: Positive = 16
    size: Annotated[int, Field(ge=8, multiple_of=8)] = 512
    batch: Positive = 8
    epochs: Positive = 400
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    warmup: Annotated[int, Field(ge=0)] = 100
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    largest_norm: Annotated[float, Field(gt=0)] = 1.0
    unet_modules: tuple[str, ...] = _UNET
    text_modules: tuple[str, ...] = _TEXT
    seed: Annotated[int, Field(ge=0, lt=2**39)] = 0  # as of `TrainingConfig`
    checkpoint_every: Positive = 100
    sample_every: Annotated[int, Field(ge=0)] = 500
    sample_steps: Positive = 50

    def steps(self, pictures: int) -> int:
        """Of the whole run; the last batch of an epoch may be smaller."""
        return self.epochs * math.ceil(pictures / self.batch)

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step: a linear rise, then half a cosine down to 0.

        It rises for a tenth of a short run, which would otherwise end before the rate is reached.
        """
        warmup = min(self.warmup, steps // 10)
        if step < warmup:
            return self.learning_rate * step / warmup
        progress = (step - warmup) / max(1, steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


PAPER = TuningRecipe()
"""As the paper tunes, which is the default."""

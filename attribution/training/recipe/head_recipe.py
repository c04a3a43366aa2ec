"""Every knob of a head on cached descriptors, with what it does; saved whole in the card."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ONE_EACH = 2000
"""Images up to which each has a view: canonical directions need several pairs a column."""


class HeadRecipe(BaseModel):
    """Recipe of a head on top of a backbone that stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(0, ge=0, lt=2**63, description="Everything random follows from it.")
    views_per_image: float = Field(
        0.6,
        gt=0,
        le=4,
        description="Random views described beside each image, a forward pass each; 0.6 gives six "
        f"in ten images one. Up to {ONE_EACH:,} images have one each at least.",
    )
    components: int = Field(
        512,
        ge=1,
        description="whiten, cca: directions kept in a part, at most the descriptor's columns.",
    )
    epochs: int = Field(20, ge=0, description="linear: how often each view is used.")
    batch: int = Field(512, ge=8, description="linear: views a step; their images are the keys.")
    learning_rate: float = Field(1e-3, gt=0, description="linear: AdamW's at first; half a cosine.")
    weight_decay: float = Field(
        1.0, ge=0, description="linear: AdamW's, towards the identity that the map started as."
    )
    temperature: float = Field(0.1, gt=0, description="linear: of the contrastive term.")
    decoupled: bool = Field(
        default=True, description="linear: leave the positive out of the denominator (DCL)."
    )
    projection: int = Field(
        0,
        ge=0,
        description="linear: columns that the contrastive term sees, through two layers that are "
        "thrown away afterwards; 0 compares the rows themselves, as a search does.",
    )
    disentanglement: Literal["logdet", "koleo", "ica", "none"] = Field(
        "logdet", description="linear: Infomax term on the rows; as in `TrainingConfig`."
    )
    disentanglement_weight: float = Field(0.1, ge=0, description="linear: its weight.")
    disentanglement_batches: int = Field(
        2, ge=1, description="linear, logdet and ica: batches it is estimated on."
    )

    def views_of(self, images: int) -> int:
        """How many views of so many images are described."""
        return max(round(self.views_per_image * images), min(images, ONE_EACH))

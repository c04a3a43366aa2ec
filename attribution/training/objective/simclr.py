"""SimCLR: the other images of the batch are the negatives; with `decoupled` it is DCL."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from attribution.training.losses.contrast import multi_positive, nt_xent
from attribution.training.objective.alignment import Alignment, Describe
from attribution.training.objective.pairing import (
    Views,
    comparable,
    rows_of_batch,
    sources_of_mixed,
)
from attribution.training.objective.projection import Columns, Projectors
from attribution.training.recipe.config import TrainingConfig
from models.backbones.features import Backbone


class SimCLR(Alignment):
    """Views of an image against those of the other images (Chen et al., ICML 2020)."""

    def __init__(self, net: Backbone, columns: Columns, config: TrainingConfig) -> None:
        super().__init__()
        del net
        self.config = config
        self.projectors = Projectors(columns, config.projection, config.projector)

    def forward(
        self,
        pooled: Tensor,
        views: Views,
        describe: Describe,
        step: int,
        local: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """As `Alignment.forward`, which says what the arguments are."""
        del describe, step, local
        n = len(views.mild)
        projected = self.projectors(pooled)
        rows = {name: rows_of_batch(stacked, n) for name, stacked in projected.items()}
        return contrast_in_batch(rows, self.config)

    def after_update(self, net: Backbone, step: int) -> None:
        """There is no teacher."""


def contrast_in_batch(projected: Mapping[str, Views], config: TrainingConfig) -> dict[str, Tensor]:
    """Terms of unit rows by projection: two views of an image, and a mixed view's sources."""
    terms: dict[str, Tensor] = {}
    for name, rows in projected.items():
        pairs = comparable(name, len(rows.mild))
        terms[name] = nt_xent(
            rows.mild[pairs],
            rows.strong[pairs],
            temperature=config.temperature,
            decoupled=config.decoupled,
        )
        if len(rows.mixed):
            mixed, sources = sources_of_mixed(name, rows.mixed)
            terms[f"{name} mixed"] = multi_positive(
                mixed,
                rows.mild,
                sources,
                temperature=config.temperature,
                decoupled=config.decoupled,
            )
    return terms

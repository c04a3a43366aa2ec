"""What a step minimises: the terms of a recipe, weighed. Knows no formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from attribution.training.objective.alignment import Alignment, Describe
from attribution.training.objective.dino import DINO
from attribution.training.objective.guidance import Guided, make_guidance
from attribution.training.objective.infomax import make_infomax
from attribution.training.objective.moco import MoCo
from attribution.training.objective.pairing import Views, rows_of_batch
from attribution.training.objective.projection import Columns, width_of
from attribution.training.objective.simclr import SimCLR
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.precision import semantics_as_weighed
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing

ALIGNMENTS: Mapping[str, Callable[[Backbone, Columns, TrainingConfig], Alignment]] = {
    "simclr": SimCLR,
    "moco": MoCo,
    "dino": DINO,
}


@dataclass(frozen=True, slots=True)
class Loss:
    """The total, its terms, unweighted, for the log, and what else of a step is worth a look."""

    total: Tensor
    terms: dict[str, float]
    semantics: Tensor
    """`(n, d)` unit rows of the mild views of the whole batch as they are searched, no gradient."""


class Objective(nn.Module):
    """The alignment and the disentanglement of a recipe, as one loss over descriptors.

    Infomax acts on the rows that are searched, whatever the alignment has its projectors make of
    them.

    Args:
        net: the network that learns, on its device; a teacher is copied from it. It says which of
            its columns are compared (`Backbone.projections`).
        config: the recipe.
        shape: as which the network sees images.
    """

    def __init__(self, net: Backbone, config: TrainingConfig, shape: Preprocessing) -> None:
        super().__init__()
        self.config, self.shape, self.columns = config, shape, net.projections
        self.alignment: Alignment = ALIGNMENTS[config.alignment](net, self.columns, config)
        self.infomax = make_infomax(config, width_of(self.columns["semantics"]))
        self.guidance = make_guidance(config)

    def forward(
        self,
        views: Views,
        net: Backbone,
        describe: Describe,
        step: int,
        guided: Guided | None = None,
    ) -> Loss:
        """The loss of a step.

        Args:
            views: of this process; the loss is that of the whole batch all the same.
            net: the network that learns.
            describe: how to apply it, and a teacher, to images.
            step: from 0.
            guided: what `guidance` has drawn, where the recipe has that term.
        """
        n = len(views.mild)
        pooled = describe(net, torch.cat([views.mild, views.strong, views.mixed]))
        local = None
        if views.local is not None:
            local = describe(net, views.local.flatten(0, 1)).reshape(*views.local.shape[:2], -1)
        terms: dict[str, Tensor] = self.alignment(pooled, views, describe, step, local)
        weights = self._weights()
        searched = functional.normalize(pooled[: 2 * n, self.columns["semantics"]], dim=1)
        semantics = rows_of_batch(searched, n)
        if self.infomax is not None:
            name = self.config.disentanglement
            terms[name], factor = self.infomax(semantics.mild, semantics.strong)
            weights[name] = self.config.disentanglement_weight * factor
        watched: dict[str, float] = {}
        if self.guidance is not None and guided is not None:
            term = self.guidance(net, self.row(net), guided, semantics.mild)
            terms["provenance"] = term.penalty
            weights["provenance"] = self.config.provenance_weight
            watched["gradient off target"] = term.off_target
        total = sum(
            (weights[name] * value for name, value in terms.items()), start=pooled.new_zeros(())
        )
        logged = {name: float(value.detach()) for name, value in terms.items()} | watched
        return Loss(total, logged, semantics.mild.detach())

    def row(self, net: Backbone) -> Callable[[Tensor], Tensor]:
        """What of a composite is compared, of any length: a pasted region has all of a source."""
        return lambda pixels: semantics_as_weighed(net, pixels, self.shape)

    def _weights(self) -> dict[str, float]:
        config = self.config
        roles = ("structure", "structure mixed", "appearance", "appearance mixed")
        return {
            "semantics": 1.0,
            "semantics mixed": config.mixed_weight,
            **dict.fromkeys(roles, config.role_weight),
        }

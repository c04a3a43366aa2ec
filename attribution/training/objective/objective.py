"""What a step minimises: the terms of a recipe, weighed. Knows no formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attribution.training.objective.alignment import Alignment, Describe
from attribution.training.objective.dino import DINO
from attribution.training.objective.guidance import Guided, make_guidance
from attribution.training.objective.infomax import make_infomax
from attribution.training.objective.moco import MoCo
from attribution.training.objective.pairing import Views, rows_of_batch
from attribution.training.objective.projection import Columns
from attribution.training.objective.simclr import SimCLR
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.precision import describe_as_weighed
from models.backbones.residual import ResidualNet

ALIGNMENTS: Mapping[str, Callable[[ResidualNet, Columns, TrainingConfig], Alignment]] = {
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
    """`(n, d)` pooled features of the mild views of the whole batch, without gradient."""


class Objective(nn.Module):
    """The alignment and the disentanglement of a recipe, as one loss over descriptors.

    Args:
        net: the network that learns, on its device; a teacher is copied from it.
        config: the recipe.
    """

    def __init__(self, net: ResidualNet, config: TrainingConfig) -> None:
        super().__init__()
        layout = {part.name: part for part in net.blocks_of_descriptor}
        stages = [part for part in net.blocks_of_descriptor if part.name.startswith("stage")]
        self.config = config
        self.columns = {
            "semantics": layout["global"].columns,
            "structure": layout["layout"].columns,
            "appearance": slice(stages[0].start, stages[-1].stop),
        }
        self.alignment: Alignment = ALIGNMENTS[config.alignment](net, self.columns, config)
        self.infomax = make_infomax(config, config.widths[-1])
        self.guidance = make_guidance(config)

    def forward(
        self,
        views: Views,
        net: ResidualNet,
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
        terms: dict[str, Tensor] = self.alignment(pooled, views, describe, step)
        weights = self._weights()
        semantics = rows_of_batch(pooled[: 2 * n, self.columns["semantics"]], n)
        if self.infomax is not None:
            name = self.config.disentanglement
            terms[name], factor = self.infomax(semantics.mild, semantics.strong)
            weights[name] = self.config.disentanglement_weight * factor
        watched: dict[str, float] = {}
        if self.guidance is not None and guided is not None:
            term = self.guidance(net, self._row(net), guided, semantics.mild)
            terms["provenance"] = term.penalty
            weights["provenance"] = self.config.provenance_weight
            watched["gradient off target"] = term.off_target
        total = sum(
            (weights[name] * value for name, value in terms.items()), start=pooled.new_zeros(())
        )
        logged = {name: float(value.detach()) for name, value in terms.items()} | watched
        return Loss(total, logged, semantics.mild.detach())

    def _row(self, net: ResidualNet) -> Callable[[Tensor], Tensor]:
        """What of a composite is compared: a pasted region has both structure and appearance."""
        columns = self.columns["semantics"]
        return lambda pixels: describe_as_weighed(net, pixels)[:, columns]

    def _weights(self) -> dict[str, float]:
        config = self.config
        roles = ("structure", "structure mixed", "appearance", "appearance mixed")
        return {
            "semantics": 1.0,
            "semantics mixed": config.mixed_weight,
            **dict.fromkeys(roles, config.role_weight),
        }

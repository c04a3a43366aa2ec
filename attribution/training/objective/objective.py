"""What a step minimises: alignment of views and of mixtures, plus disentanglement.

Here the views are drawn and the terms weighed; how views are drawn together is in `alignments`,
what spreads them in `infomax`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from attribution.training.data.mixing import collage, mix
from attribution.training.data.views import (
    MILD,
    STRONG,
    colour_view,
    crop,
    draw_boxes,
    draw_inside,
)
from attribution.training.distributed import share
from attribution.training.losses.infomax import make_infomax
from attribution.training.objective.alignments import ALIGNMENTS, PASTED, Describe, rows_of_batch
from attribution.training.recipe.config import TrainingConfig
from models.backbones.residual import ResidualNet

# Half of the strong views, and the structure source of every mixed view, are cut out of the mild
# view's crop, so that their layouts agree; layout cannot be learnt from unrelated crops.
INSIDE = (0.6, 1.0)


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one step.

    The first half of `strong` shares the layout of `mild`; the second half are unrelated crops.
    `mixed` row `i` joins the structure of image `i` with the appearance of image `i + n/2`.
    """

    mild: Tensor
    strong: Tensor
    mixed: Tensor

    def shared(self) -> Views:
        """This process's part of each group; `rows_of_batch` joins what comes of them."""
        mixed = share(self.mixed) if len(self.mixed) else self.mixed
        return Views(share(self.mild), share(self.strong), mixed)


@dataclass(frozen=True, slots=True)
class Loss:
    """The total and its terms, unweighted, for the log."""

    total: Tensor
    terms: dict[str, float]
    semantics: Tensor
    """`(n, d)` pooled features of the mild views of the whole batch, without gradient."""


def make_views(images: Tensor, size: int, generator: Generator, *, with_mixed: bool) -> Views:
    """Draw one mild and one strong view of each image and a mixed view of every pair."""
    half = len(images) // 2
    boxes = draw_boxes(images, MILD.scale, MILD.aspect, generator)
    mild = colour_view(crop(images, boxes, size), MILD, generator)
    inside = draw_inside(boxes[:half], INSIDE, generator)
    elsewhere = draw_boxes(images[half:], STRONG.scale, STRONG.aspect, generator)
    cropped = torch.cat([crop(images[:half], inside, size), crop(images[half:], elsewhere, size)])
    strong = colour_view(cropped, STRONG, generator)
    if not with_mixed:
        return Views(mild, strong, images.new_zeros(0, 3, size, size))
    structure = crop(images[:half], draw_inside(boxes[:half], INSIDE, generator), size)
    anywhere = draw_boxes(images[half:], MILD.scale, MILD.aspect, generator)
    appearance = crop(images[half:], anywhere, size)
    pasted = half // PASTED
    mixed = torch.cat(
        [
            collage(structure[:pasted], appearance[:pasted], generator),
            mix(structure[pasted:], appearance[pasted:], generator),
        ]
    )
    return Views(mild, strong, mixed)


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
        self.alignment = ALIGNMENTS[config.alignment](net, self.columns, config)
        self.infomax = make_infomax(config, config.widths[-1])

    def forward(self, views: Views, net: ResidualNet, describe: Describe, step: int) -> Loss:
        """The loss of a step.

        Args:
            views: of this process; the loss is that of the whole batch all the same.
            net: the network that learns.
            describe: how to apply it, and a teacher, to images.
            step: from 0.
        """
        n = len(views.mild)
        pooled = describe(net, torch.cat([views.mild, views.strong, views.mixed]))
        taught = self.alignment.teach(views.mild, views.strong, describe)
        terms: dict[str, Tensor] = self.alignment(pooled, taught, n, step)
        weights = self._weights()
        semantics = rows_of_batch(pooled[: 2 * n, self.columns["semantics"]], n)
        if self.infomax is not None:
            name = self.config.disentanglement
            terms[name], factor = self.infomax(semantics.mild, semantics.strong)
            weights[name] = self.config.disentanglement_weight * factor
        total = sum(
            (weights[name] * term for name, term in terms.items()), start=pooled.new_zeros(())
        )
        logged = {name: float(term.detach()) for name, term in terms.items()}
        return Loss(total, logged, semantics.mild.detach())

    def _weights(self) -> dict[str, float]:
        config = self.config
        roles = ("structure", "structure mixed", "appearance", "appearance mixed")
        return {
            "semantics": 1.0,
            "semantics mixed": config.mixed_weight,
            **dict.fromkeys(roles, config.role_weight),
        }

"""The provenance term of a recipe: composites whose known sources must decide where they are seen.

The formulas are in `losses.provenance`. A network is any module here: whoever asks says how a row
comes from pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from attribution.synthesis.composites.composite import Composites
from attribution.training.data.composing import compose
from attribution.training.data.views import MILD, crop, draw_boxes
from attribution.training.distributed import gather, share
from attribution.training.losses.provenance import (
    attribution_scores,
    input_gradients,
    mixing_penalty,
    share_off_target,
    squared_length,
)
from attribution.training.objective.still import still_batch_norm
from attribution.training.recipe.config import TrainingConfig


@dataclass(frozen=True, slots=True, eq=False)
class Guided:
    """Composites of a step, this process's share of them.

    Attributes:
        composites: with their true masks.
        masks: those that gradients are guided by, of the same shape.
    """

    composites: Composites
    masks: Tensor


@dataclass(frozen=True, slots=True)
class GuidanceTerm:
    """What a step penalises, and a figure to watch, both of the whole batch.

    Attributes:
        penalty: unweighted; squares are added up over a composite's pixels in [0, 1].
        off_target: share of the squared gradients that lies in the other source's places, by the
            true masks; a general shrink leaves it as it is.
    """

    penalty: Tensor
    off_target: float


class Guidance:
    """The term of a step, by the recipe's kind of mask.

    `true`: the provenance of each composite. `random`: that of the next composite of the batch,
    which has the same shapes and sizes and says nothing. `full`: all of both gradients is
    penalised. The last two are controls.

    Args:
        config: the recipe.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.mask = config.provenance_mask

    def draw(self, images: Tensor, size: int, generator: Generator) -> Guided:
        """A composite of every pair of a batch, each of crops of its own.

        Args:
            images: `(n, 3, s, s)` in [0, 1], the whole batch; image `i` is joined with `i + n/2`.
            size: side of a composite in pixels.
            generator: alike in all processes.
        """
        first = torch.arange(len(images) // 2, device=images.device)
        sources = torch.stack([first, first + len(first)], dim=1)
        boxes = draw_boxes(images, MILD.scale, MILD.aspect, generator)
        made = compose(crop(images, boxes, size), sources, generator)
        masks = made.masks.roll(1, dims=0) if self.mask == "random" else made.masks
        own = Composites(share(made.images), share(made.masks), share(made.sources))
        return Guided(own, share(masks))

    def __call__(
        self, net: nn.Module, row: Callable[[Tensor], Tensor], guided: Guided, sources: Tensor
    ) -> GuidanceTerm:
        """The term of composites.

        Args:
            net: what learns; its batch norms stand still meanwhile.
            row: from `(m, 3, s, s)` pixels in [0, 1] to `(m, d)`, by the network, in float32.
            guided: of this process.
            sources: `(n, d)` unit rows of the images that the composites are made of.
        """
        composites = guided.composites
        first, second = (sources[each] for each in composites.sources.unbind(dim=1))

        def score(pixels: Tensor) -> tuple[Tensor, ...]:
            rows = row(pixels)
            return attribution_scores(rows, first), attribution_scores(rows, second)

        # Attention in fewer steps cannot be differentiated twice.
        with still_batch_norm(net), sdpa_kernel(SDPBackend.MATH):
            ours, theirs = input_gradients(score, composites.images.to(sources.dtype))
        if self.mask == "full":
            penalty = squared_length(ours) + squared_length(theirs)
        else:
            penalty = mixing_penalty(ours, theirs, guided.masks)
        off_target = share_off_target(ours.detach(), theirs.detach(), composites.masks).mean()
        return GuidanceTerm(gather(penalty[None]).mean(), float(gather(off_target[None]).mean()))


def make_guidance(config: TrainingConfig) -> Guidance | None:
    """The term that a recipe asks for; None without a weight."""
    return Guidance(config) if config.provenance_weight > 0 else None

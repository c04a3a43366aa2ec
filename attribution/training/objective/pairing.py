"""The views of a step, and which of them belong together; knows no loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from attribution.training.data.mixing import collage, mix
from attribution.training.data.views import (
    MILD,
    STRONG,
    colour_view,
    crop,
    draw_boxes,
    draw_inside,
    make_view,
)
from attribution.training.distributed import gather, share
from attribution.training.recipe.config import TrainingConfig
from models.backbones.features import Backbone

# Half of the strong views, and the structure source of every mixed view, are cut out of the mild
# view's crop, so that their layouts agree; layout cannot be learnt from unrelated crops.
INSIDE = (0.6, 1.0)
# A sixth of the mixed views are collages that only the semantic term sees: a pasted region has
# both structure and appearance, so it belongs to neither role.
PASTED = 6


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one step, or a row for each of them; of `n` images, `mixed` has `n / 2` or none.

    The first half of `strong` shares the layout of `mild`; the second half are unrelated crops.
    `mixed` row `i` joins the structure of image `i` with the appearance of image `i + n/2`.
    """

    mild: Tensor
    strong: Tensor
    mixed: Tensor
    local: Tensor | None = None
    """`(n, k, ...)`: small crops of each image, where the recipe has such."""

    def shared(self) -> Views:
        """This process's part of each group; `rows_of_batch` joins what comes of them."""
        mixed = share(self.mixed) if len(self.mixed) else self.mixed
        local = None if self.local is None else share(self.local)
        return Views(share(self.mild), share(self.strong), mixed, local)


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


def draw_views(
    images: Tensor, size: int, config: TrainingConfig, net: Backbone, generator: Generator
) -> Views:
    """All views of a batch that a recipe asks for; local crops of a size that the network cuts."""
    views = make_views(images, size, generator, with_mixed=config.draws_mixed)
    if not config.local_crops:
        return views
    side = net.local_side(config.local_size)
    local = make_local(images, side, config.local_crops, config.local_scale, generator)
    return replace(views, local=local)


def make_local(
    images: Tensor, size: int, crops: int, scale: tuple[float, float], generator: Generator
) -> Tensor:
    """`(n, crops, 3, size, size)` small crops of each image, with the colours of strong views.

    Multi-crop (Caron et al., NeurIPS 2020). They go on no lossy journey: little is left of them.
    """
    recipe = replace(STRONG, scale=scale, degrade=0.0)
    drawn = [make_view(images, size, recipe, generator) for _ in range(crops)]
    return torch.stack(drawn, dim=1)


def rows_of_batch(stacked: Tensor, n: int) -> Views:
    """From this process's rows, `n` mild, `n` strong and then mixed, to those of all processes."""
    mild, strong, mixed = torch.split(stacked, [n, n, len(stacked) - 2 * n])
    return Views(gather(mild), gather(strong), gather(mixed) if len(mixed) else mixed)


def comparable(projection: str, n: int) -> slice:
    """Which of `n` images have two views to compare: for structure those whose layouts agree."""
    return slice(n // 2 if projection == "structure" else n)


def sources_of_mixed(projection: str, mixed: Tensor) -> tuple[Tensor, Tensor]:
    """The mixed rows that a projection compares, and the images that each must find.

    Args:
        projection: `semantics`, `structure` or `appearance`.
        mixed: `(m, d)`, of a batch of `2m` images.

    Returns:
        `(k, d)` rows and `(k, p)` places in the batch: both sources, or that of the role.
    """
    first = torch.arange(len(mixed), device=mixed.device)
    sources = torch.stack([first, first + len(mixed)], dim=1)
    if projection == "semantics":
        return mixed, sources
    whole, role = len(mixed) // PASTED, 0 if projection == "structure" else 1
    return mixed[whole:], sources[whole:, role : role + 1]

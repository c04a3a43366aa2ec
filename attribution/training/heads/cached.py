"""Descriptors of images and of random views of them, computed once, for heads to be fitted on.

A forward pass of a published backbone takes most of the time there is, a head next to none: so
every picture is described once, and the head sees the cached rows as often as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from attribution.training.data.images import ImageSet
from attribution.training.data.mixing import mix
from attribution.training.data.views import MILD, STRONG, make_view
from attribution.training.heads.fitting import (
    describe,
    mixture_in_place,
    require_side,
    view_in_place,
)
from attribution.training.recipe.plans import Pairs, PartPlan, UnfitHead
from models.backbones.features import Backbone
from models.heads import Moments
from models.heads.closed_form import BLOCK
from models.images.preprocessing import Preprocessing

BATCH = 32
Drawn = Literal["mild", "strong", "mixed", "view in place", "mixed in place"]
DRAWN: tuple[Drawn, ...] = get_args(Drawn)
# A quarter of the views are mild crops, a quarter strong ones and half are mixed with a partner,
# each of which is a view of two images at the price of one.
CYCLE: tuple[Drawn, ...] = ("mild", "mixed", "strong", "mixed")
IN_PLACE: tuple[Drawn, ...] = ("view in place", "mixed in place")
"""These follow where a part is fitted on pairs of them."""
VIEWS_OF: Mapping[Pairs, tuple[Drawn, ...]] = {
    "views": ("mild", "strong"),
    "structure": ("mixed",),
    "appearance": ("mixed",),
    "views in place": ("view in place",),
    "structure in place": ("mixed in place",),
}
"""The views that each kind of pairs joins with an image; `images` joins no view."""


def cycle_of(plans: Sequence[PartPlan]) -> tuple[Drawn, ...]:
    """The kinds of views that parts are fitted on."""
    asked = {drawn for plan in plans for kind in plan.pairs for drawn in VIEWS_OF.get(kind, ())}
    return CYCLE if asked.isdisjoint(IN_PLACE) else (*CYCLE, *IN_PLACE)


@dataclass(frozen=True, slots=True)
class CachedRows:
    """What a backbone said of `n` images and of `m` random views; float16, on the CPU."""

    images: Tensor
    """`(n, d)` descriptors of the images as they are."""
    views: Tensor
    """`(m, d)` descriptors of the views."""
    structure: Tensor
    """`(m,)` the image whose layout a view has."""
    appearance: Tensor
    """`(m,)` the image whose colours and textures it has; the same, unless it is a mixture."""
    drawn: Tensor
    """`(m,)` which of `DRAWN` a view is."""

    @property
    def dimension(self) -> int:
        """Columns of a descriptor."""
        return self.images.shape[1]

    def moments(self, kinds: Sequence[Pairs], columns: Tensor | None = None) -> Moments:
        """Moments of the pairs of an image and a view that shares something with it.

        Args:
            kinds: `views` are of one image; of a mixture, `structure` pairs it with the image
                it has its layout from, `appearance` with the other; those in place are pairs of
                their own. `images` are no pairs: every image with itself. Those of several kinds
                count together.
            columns: of the descriptor; all of them by default.
        """
        columns = torch.arange(self.dimension) if columns is None else columns
        moments = Moments(len(columns))
        for kind in kinds:
            sources, views, chosen = self._pairs(kind)
            for rows in torch.split(chosen, BLOCK):
                moments.add(self.images[sources[rows]][:, columns], views[rows][:, columns])
        return moments

    def _pairs(self, kind: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """The image of each view, the views, and which of them make pairs of this kind."""
        if kind == "images":
            each = torch.arange(len(self.images))
            return each, self.images, each
        sources = self.appearance if kind == "appearance" else self.structure
        wanted = torch.tensor([DRAWN.index(drawn) for drawn in VIEWS_OF[kind]])
        return sources, self.views, torch.isin(self.drawn, wanted).nonzero().squeeze(1)


def cache_rows(
    backbone: Backbone,
    images: ImageSet,
    shape: Preprocessing,
    *,
    views: int,
    cycle: Sequence[Drawn] = CYCLE,
    seed: int = 0,
    on_images: Callable[[int], None] | None = None,
) -> CachedRows:
    """Describe every image and some random views of it.

    Args:
        backbone: in evaluation mode, on its device.
        images: read as the encoder sees them (`read_framed`), at least two for views.
        shape: the encoder's preprocessing; views are made at its size.
        views: how many in all, a forward pass each; 0 describes the images only. They are spread
            evenly over the images in a random order, which also gives each its kind in `cycle`.
            With four times as many as images, an image has all kinds of `CYCLE`.
        cycle: kinds of views, one after the other.
        seed: of the views.
        on_images: called with the number of images described so far, with their views.

    Raises:
        UnfitHead: one image, images of another size, or descriptors that are not finite.
    """
    require_side(images, shape)
    n = len(images)
    if n < 2 and views > 0:
        raise UnfitHead("mixed views need two images at least")
    generator = torch.Generator().manual_seed(seed)
    clean = torch.empty(n, backbone.dimension, dtype=torch.float16)
    seen = torch.empty(views, backbone.dimension, dtype=torch.float16)
    structure, appearance, drawn = (torch.empty(views, dtype=torch.int64) for _ in range(3))
    done = made = 0
    for rows in torch.split(torch.randperm(n, generator=generator), BATCH):
        batch = images.batch(rows)
        clean[rows] = _half(describe(backbone, batch, shape))
        done += len(rows)
        for turn, count in enumerate(_turns(views * done // n - made, len(rows))):
            places = slice(made, made + count)
            shown, partners, drawn[places] = _draw(
                batch, turn, count, cycle, shape.height, generator
            )
            seen[places] = _half(describe(backbone, shown, shape))
            structure[places], appearance[places] = rows[:count], rows[partners]
            made += count
        if on_images is not None:
            on_images(done)
    return CachedRows(clean, seen, structure, appearance, drawn)


def _turns(views: int, images: int) -> list[int]:
    """So many views of so many images, an image no more often than once a turn."""
    whole, rest = divmod(views, images)
    return [images] * whole + ([rest] if rest else [])


def _draw(
    batch: Tensor, turn: int, count: int, cycle: Sequence[Drawn], size: int, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """One view of each of the first images; which one it has its appearance from; its kind.

    Where some images of a batch have no view, they lend their appearance first.
    """
    places = torch.arange(count)
    partners, views = places.clone(), torch.empty_like(batch[:count])
    drawn = torch.empty(count, dtype=torch.int64)
    for offset, kind in enumerate(cycle):
        chosen = places[(places + turn) % len(cycle) == offset]
        if len(chosen) == 0:
            continue
        if kind in ("mixed", "mixed in place"):
            partners[chosen] = (chosen + max(1, len(batch) - count)) % len(batch)
        views[chosen] = _MAKERS[kind](batch[chosen], batch[partners[chosen]], size, generator)
        drawn[chosen] = DRAWN.index(kind)
    return views, partners, drawn


_MAKERS: Mapping[Drawn, Callable[[Tensor, Tensor, int, Generator], Tensor]] = {
    "mild": lambda own, _, size, generator: make_view(own, size, MILD, generator),
    "strong": lambda own, _, size, generator: make_view(own, size, STRONG, generator),
    "mixed": lambda own, other, _, generator: mix(own, other, generator),
    "view in place": lambda own, _, __, generator: view_in_place(own, generator),
    "mixed in place": lambda own, other, _, generator: mixture_in_place(own, other, generator),
}


def _half(descriptors: Tensor) -> Tensor:
    half = descriptors.half()
    if not half.isfinite().all():
        raise UnfitHead("the backbone's descriptors are not finite or too large for float16")
    return half

"""Closed-form heads fitted on views of unlabelled images, whatever the backbone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from attribution.training.data.images import ImageSet
from attribution.training.data.mixing import mix
from attribution.training.data.views import PLACED, colour_view, crop_in_place, mild_or_strong
from attribution.training.recipe.plans import Pairs, PartPlan, UnfitHead
from models.backbones.features import Backbone, Features
from models.heads import AffineMap, HeadPart, Moments, cca, whiten
from models.images.preprocessing import Preprocessing
from models.parts import Part

BATCH = 128


def fit_parts(
    net: Backbone,
    images: ImageSet,
    plans: Sequence[PartPlan],
    shape: Preprocessing,
    *,
    seed: int = 0,
    limit: int | None = None,
    on_images: Callable[[int], None] | None = None,
) -> tuple[HeadPart, ...]:
    """Fit every part on pairs of views, drawn afresh for each image.

    Args:
        net: trained network, in evaluation mode.
        images: unlabelled images, read at the encoder's size: small directions of the
            descriptor depend on how a picture was scaled. None should be in a gallery that is
            measured.
        plans: one a part; parts of head `none` are left out.
        shape: the encoder's preprocessing; views are made at its size.
        seed: of the views.
        limit: fit on so many images, drawn at random; on all by default.
        on_images: called with the number of images done.

    Raises:
        UnfitHead: a head without a closed form, or images of another size.
    """
    require_side(images, shape)
    fits = [_Fit.of(plan, net.blocks_of_descriptor) for plan in plans if plan.head != "none"]
    if not fits:
        return ()  # describing the images would be for nothing
    kinds = {pairs for fit in fits for pairs in fit.plan.pairs}
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)[:limit]
    done = 0
    for rows in torch.split(order, BATCH):
        if len(rows) < 2:
            continue
        for kind, first, second in _pairs(net, images.batch(rows), kinds, shape, generator):
            for fit in fits:
                fit.add(kind, first, second)
        done += len(rows)
        if on_images is not None:
            on_images(done)
    return tuple(
        HeadPart(fit.plan.name, fit_map(fit.plan, fit.moments, fit.columns)) for fit in fits
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """A part on its way: nothing is summed up of columns that it does not read."""

    plan: PartPlan
    columns: Tensor
    moments: Moments

    @classmethod
    def of(cls, plan: PartPlan, blocks: Sequence[Part]) -> _Fit:
        if plan.head not in ("whiten", "cca"):
            raise UnfitHead(f"a head of kind {plan.head} is not fitted: choose whiten or cca")
        columns = columns_of(plan, blocks)
        return cls(plan, columns, Moments(len(columns)))

    def add(self, kind: Pairs, first: Tensor, second: Tensor) -> None:
        if kind in self.plan.pairs:
            self.moments.add(first[:, self.columns], second[:, self.columns])


def _pairs(
    net: Backbone,
    batch: Tensor,
    kinds: Collection[Pairs],
    shape: Preprocessing,
    generator: Generator,
) -> Iterator[tuple[Pairs, Tensor, Tensor]]:
    """Descriptors of the pairs of a batch, by kind; a mixture pairs with both of its images."""
    first = describe(net, batch, shape)
    if "images" in kinds:
        yield "images", first, first
    if "views" in kinds:
        yield "views", first, describe(net, mild_or_strong(batch, shape.height, generator), shape)
    if "structure" in kinds or "appearance" in kinds:
        mixed = mix(batch, torch.roll(batch, 1, dims=0), generator)
        second = describe(net, mixed, shape)
        yield "structure", first, second
        yield "appearance", torch.roll(first, 1, dims=0), second
    if "views in place" in kinds:
        yield "views in place", first, describe(net, view_in_place(batch, generator), shape)
    if "structure in place" in kinds:
        mixed = mixture_in_place(batch, torch.roll(batch, 1, dims=0), generator)
        yield "structure in place", first, describe(net, mixed, shape)


def view_in_place(images: Tensor, generator: Generator) -> Tensor:
    """Half of each image or more, where it was, with other colours and often degraded."""
    return colour_view(crop_in_place(images, images.shape[-1], generator), PLACED, generator)


def mixture_in_place(structure: Tensor, appearance: Tensor, generator: Generator) -> Tensor:
    """The same of pictures with the layout of such a part and another's appearance."""
    cropped = crop_in_place(structure, structure.shape[-1], generator)
    return colour_view(mix(cropped, appearance, generator), PLACED, generator)


def fit_map(plan: PartPlan, moments: Moments, columns: Tensor) -> AffineMap:
    """Fit one part's map.

    Args:
        plan: of the part, whose head has a closed form.
        moments: of all pairs it is fitted on, of these columns only.
        columns: of the descriptor, that the part reads (`columns_of`).
    """
    close = whiten if plan.head == "whiten" else cca
    fitted = close(moments, components=plan.components)
    return AffineMap(fitted.mean, fitted.weight, columns)


def columns_of(plan: PartPlan, blocks: Sequence[Part]) -> Tensor:
    """Columns of the descriptor that a part may read.

    Raises:
        UnfitHead: the plan names a block that the descriptor lacks.
    """
    unknown = set(plan.blocks) - {block.name for block in blocks}
    if unknown:
        raise UnfitHead(f"the descriptor has no block {', '.join(sorted(unknown))}")
    return torch.cat(
        [
            torch.arange(block.start, block.stop)
            for block in blocks
            if not plan.blocks or block.name in plan.blocks
        ]
    )


def require_side(images: ImageSet, shape: Preprocessing) -> None:
    """Refuse images that were not read at the encoder's size.

    Raises:
        UnfitHead: with both sizes.
    """
    height, width = images.pixels.shape[-2:]
    if (height, width) != (shape.height, shape.width) or height != width:
        raise UnfitHead(
            f"images of {height} x {width} pixels for an encoder that sees {shape.height} x "
            f"{shape.width}: read them as it does, as squares"
        )


@torch.inference_mode()
def describe(net: Backbone, images: Tensor, shape: Preprocessing) -> Tensor:
    """Descriptors of `(n, 3, H, W)` images in [0, 1]: `(n, d)` on the CPU, whatever the device."""
    weights = next(net.parameters(), images)
    scaled = shape.scaled(images).to(weights.device, memory_format=torch.channels_last)
    features: Features = net(scaled)
    return features.pooled.cpu()

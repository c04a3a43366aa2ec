"""Closed-form heads fitted on views of unlabelled images, whatever the backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from attribution.training.images import ImageSet
from attribution.training.mixing import mix
from attribution.training.plans import Pairs, PartPlan, UnfitHead
from attribution.training.views import MILD, STRONG, make_view
from models.backbones.features import Backbone, Features
from models.heads import AffineMap, HeadPart, Moments, cca, whiten
from models.parts import Part
from models.preprocessing import Preprocessing

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
    kinds = sorted({pairs for plan in plans if plan.head != "none" for pairs in plan.pairs})
    moments = {kind: Moments.empty(net.dimension) for kind in kinds}
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)[:limit]
    done = 0
    for rows in torch.split(order, BATCH):
        if len(rows) < 2:
            continue
        batch = images.batch(rows)
        first = describe(net, batch, shape)
        partner = torch.roll(batch, 1, dims=0)
        for kind in kinds:
            second = first
            if kind != "images":
                view = _second_view(kind, batch, partner, shape.height, generator)
                second = describe(net, view, shape)
            moments[kind].add(first, second)
        done += len(rows)
        if on_images is not None:
            on_images(done)
    return tuple(
        HeadPart(
            plan.name,
            fit_map(plan, [moments[kind] for kind in plan.pairs], net.blocks_of_descriptor),
        )
        for plan in plans
        if plan.head != "none"
    )


def fit_map(plan: PartPlan, moments: Sequence[Moments], blocks: Sequence[Part]) -> AffineMap:
    """Fit one part's map, on the plan's blocks of the descriptor only.

    Args:
        plan: of the part.
        moments: of the pairs it is fitted on, one a kind; they count together.
        blocks: those of the descriptor.

    Raises:
        UnfitHead: the head has no closed form.
    """
    if plan.head not in ("whiten", "cca"):
        raise UnfitHead(f"a head of kind {plan.head} is not fitted: choose whiten or cca")
    columns = columns_of(plan, blocks)
    inside = restricted(_joined(moments), columns)
    fitted = (
        whiten(inside, components=plan.components)
        if plan.head == "whiten"
        else cca(inside, components=plan.components)
    )
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


def restricted(moments: Moments, columns: Tensor) -> Moments:
    """The moments of some columns of the descriptor."""
    return Moments(
        moments.count,
        moments.total[columns],
        moments.within[columns][:, columns],
        moments.between[columns][:, columns],
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
    mean = images.new_tensor(shape.mean)[:, None, None]
    std = images.new_tensor(shape.std)[:, None, None]
    scaled = ((images - mean) / std).to(weights.device, memory_format=torch.channels_last)
    features: Features = net(scaled)
    return features.pooled.cpu()


def _second_view(
    kind: Pairs, batch: Tensor, partner: Tensor, size: int, generator: Generator
) -> Tensor:
    if kind == "structure":
        return mix(batch, partner, generator)
    if kind == "appearance":
        return mix(partner, batch, generator)
    half = len(batch) // 2
    return torch.cat(
        [
            make_view(batch[:half], size, MILD, generator),
            make_view(batch[half:], size, STRONG, generator),
        ]
    )


def _joined(moments: Sequence[Moments]) -> Moments:
    total = Moments.empty(len(moments[0].total))
    for each in moments:
        total.count += each.count
        total.total += each.total
        total.within += each.within
        total.between += each.between
    return total

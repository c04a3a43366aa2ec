"""Closed-form heads fitted on views of unlabelled images, and the encoder they complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from attribution.training.images import ImageSet
from attribution.training.mixing import mix
from attribution.training.views import MILD, STRONG, make_view
from models.backbones.features import Features
from models.backbones.residual import ResidualNet
from models.heads import AffineMap, HeadPart, Moments, cca, whiten
from models.preprocessing import Preprocessing

Pairs = Literal["views", "structure", "appearance"]
HeadKind = Literal["none", "whiten", "cca"]
BATCH = 128


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How one part is fitted.

    Attributes:
        name: of the part.
        head: `none` leaves the descriptor as it is.
        pairs: kinds of pairs whose shared directions the part keeps. `views`: an image and a
            mild or degraded view of it. `structure`, `appearance`: an image and a mixture that
            took its layout, or its colours and textures.
        components: directions kept.
        blocks: blocks of the descriptor it may use; all of them when empty.
    """

    name: str
    head: HeadKind
    pairs: tuple[Pairs, ...]
    components: int
    blocks: tuple[str, ...] = ()


def fit_parts(
    net: ResidualNet,
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
        net: trained network.
        images: unlabelled images, read at the encoder's size: small directions of the
            descriptor depend on how a picture was scaled. None should be in a gallery that is
            measured.
        plans: one a part; parts of head `none` are left out.
        shape: the encoder's preprocessing; views are made at its size.
        seed: of the views.
        limit: fit on so many images, drawn at random; on all by default.
        on_images: called with the number of images done.
    """
    if images.pixels.shape[-1] != shape.height:
        raise ValueError(
            f"images of side {images.pixels.shape[-1]} for an encoder of side {shape.height}"
        )
    kinds = sorted({pairs for plan in plans if plan.head != "none" for pairs in plan.pairs})
    moments = {kind: Moments.empty(net.dimension) for kind in kinds}
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)[:limit]
    done = 0
    for rows in torch.split(order, BATCH):
        if len(rows) < 2:
            continue
        batch = images.batch(rows)
        first = _describe(net, batch, shape)
        partner = torch.roll(batch, 1, dims=0)
        for kind in kinds:
            second = _second_view(kind, batch, partner, shape.height, generator)
            moments[kind].add(first, _describe(net, second, shape))
        done += len(rows)
        if on_images is not None:
            on_images(done)
    return tuple(
        HeadPart(plan.name, _fit(net, plan, _joined([moments[kind] for kind in plan.pairs])))
        for plan in plans
        if plan.head != "none"
    )


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


@torch.inference_mode()
def _describe(net: ResidualNet, images: Tensor, shape: Preprocessing) -> Tensor:
    mean = images.new_tensor(shape.mean)[:, None, None]
    std = images.new_tensor(shape.std)[:, None, None]
    scaled = ((images - mean) / std).to(memory_format=torch.channels_last)
    features: Features = net(scaled)
    return features.pooled


def _joined(moments: Sequence[Moments]) -> Moments:
    total = Moments.empty(len(moments[0].total))
    for each in moments:
        total.count += each.count
        total.total += each.total
        total.within += each.within
        total.between += each.between
    return total


def _fit(net: ResidualNet, plan: PartPlan, moments: Moments) -> AffineMap:
    """Fit on the plan's blocks only; the weights of all other columns are zero."""
    layout = net.blocks_of_descriptor
    columns = torch.cat(
        [
            torch.arange(block.start, block.stop)
            for block in layout
            if not plan.blocks or block.name in plan.blocks
        ]
    )
    inside = Moments(
        moments.count,
        moments.total[columns],
        moments.within[columns][:, columns],
        moments.between[columns][:, columns],
    )
    fitted = (
        whiten(inside, components=plan.components)
        if plan.head == "whiten"
        else cca(inside, components=plan.components)
    )
    mean, weight = torch.zeros(net.dimension), torch.zeros(net.dimension, plan.components)
    mean[columns], weight[columns] = fitted.mean, fitted.weight
    return AffineMap(mean, weight)

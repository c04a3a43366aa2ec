"""A head on a frozen backbone: describe the images once, then fit or train, in minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attribution.training.data.images import ImageSet
from attribution.training.heads.cached import CachedRows, cache_rows, cycle_of
from attribution.training.heads.domains import map_for_queries
from attribution.training.heads.fitting import columns_of, fit_map
from attribution.training.heads.linear import check_linear, train_linear
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.plans import HeadKind, PartPlan, UnfitHead, check_plans, plans_for
from models.backbones.features import Backbone
from models.heads import HeadPart
from models.images.preprocessing import Preprocessing
from models.parts import Part


@dataclass(frozen=True, slots=True)
class HeadProgress:
    """How far a head has come."""

    stage: Literal["images", "synthetic", "epochs"]
    """Images being described, synthetic ones being described, or a linear head being trained."""
    done: int
    total: int
    loss: float | None = None
    """Mean of the last epoch."""


@dataclass(frozen=True, slots=True)
class MadeHead:
    """What `train_head` made."""

    parts: tuple[HeadPart, ...]
    """In the order of `head_plans`; of head `none` there is none."""
    described: Tensor
    """`(n, d)` descriptors of the images, float16, for reference rows; of head `none` without."""


OnProgress = Callable[[HeadProgress], None]


def head_plans(head: HeadKind, recipe: HeadRecipe, blocks: Sequence[Part]) -> tuple[PartPlan, ...]:
    """The parts that `train_head` makes, for the card.

    `whiten` is fitted on the images alone: views would only take time, and with a second domain
    the covariance must be that of sources.

    Args:
        head: kind of all parts.
        recipe: decides how many directions are kept.
        blocks: `Backbone.blocks_of_descriptor`.
    """
    if head == "whiten":
        components = min(recipe.components, blocks[-1].stop)
        return (PartPlan("whole", head, ("images",), components),)
    return plans_for(head, recipe.components, blocks)


def train_head(
    backbone: Backbone,
    images: ImageSet,
    shape: Preprocessing,
    *,
    head: HeadKind,
    recipe: HeadRecipe,
    synthetic: ImageSet | None = None,
    on_progress: OnProgress = lambda _: None,
) -> MadeHead:
    """Make a head for a backbone that stays as it is, without labels.

    Args:
        backbone: in evaluation mode, on its device.
        images: unlabelled real images, read as the encoder sees them (`read_framed`), none of
            them in a gallery that is measured.
        shape: the encoder's preprocessing.
        head: `linear` is trained, `whiten` and `cca` have a closed form, `none` needs nothing.
        recipe: the knobs.
        synthetic: unlabelled synthetic images, read alike: queries get a map of their own, which
            gives them the mean and covariance of the real ones (`map_for_queries`).
        on_progress: called after every batch of images and every epoch.

    Raises:
        UnfitHead: before anything is described, what cannot be fitted; says what to change.
    """
    blocks = backbone.blocks_of_descriptor
    plans = head_plans(head, recipe, blocks)
    check_head(plans, recipe, blocks, images=len(images), synthetic=synthetic)
    if head == "none":
        return MadeHead((), torch.empty(0, backbone.dimension))
    rows = cache_rows(
        backbone,
        images,
        shape,
        views=0 if head == "whiten" else recipe.views_of(len(images)),
        cycle=cycle_of(plans),
        seed=recipe.seed,
        on_images=lambda done: on_progress(HeadProgress("images", done, len(images))),
    )
    parts = _fit(plans, rows, recipe, blocks, on_progress)
    if synthetic is None:
        return MadeHead(parts, rows.images)
    others = cache_rows(
        backbone,
        synthetic,
        shape,
        views=0,
        on_images=lambda done: on_progress(HeadProgress("synthetic", done, len(synthetic))),
    )
    sources, queries = rows.moments(["images"]), others.moments(["images"])
    mapped = tuple(
        HeadPart(part.name, part.source, map_for_queries(part.source, sources, queries))
        for part in parts
    )
    return MadeHead(mapped, rows.images)


def check_head(
    plans: Sequence[PartPlan],
    recipe: HeadRecipe,
    blocks: Sequence[Part],
    *,
    images: int,
    synthetic: ImageSet | None = None,
) -> None:
    """Refuse what `train_head` could not do, before minutes are spent on descriptors.

    Args:
        plans: `head_plans`.
        recipe: the knobs.
        blocks: `Backbone.blocks_of_descriptor`.
        images: how many there are.
        synthetic: the second domain.

    Raises:
        UnfitHead: says what to change.
    """
    columns = blocks[-1].stop
    check_plans(plans, descriptor=columns, images=images)
    views = recipe.views_of(images)
    if any(plan.head == "cca" and plan.components > views for plan in plans):
        raise UnfitHead(
            f"{views} views of {images} images cannot fit so many directions: give more images, or "
            "lower --components"
        )
    if any(plan.head == "linear" for plan in plans):
        check_linear(recipe, columns=columns, images=images)
    if synthetic is None:
        return
    if all(plan.head == "none" for plan in plans):
        raise UnfitHead("head none has no map that synthetic images could change: leave them out")
    read = max(len(columns_of(plan, blocks)) for plan in plans)
    if len(synthetic) < read:
        raise UnfitHead(
            f"{len(synthetic)} synthetic images cannot give the covariance of {read} columns: "
            f"give {read} or more, or leave them out"
        )


def _fit(
    plans: Sequence[PartPlan],
    rows: CachedRows,
    recipe: HeadRecipe,
    blocks: Sequence[Part],
    on_progress: OnProgress,
) -> tuple[HeadPart, ...]:
    if plans[0].head == "linear":
        trained = train_linear(
            rows,
            recipe,
            lambda done, loss: on_progress(HeadProgress("epochs", done, recipe.epochs, loss)),
        )
        return (HeadPart(plans[0].name, trained),)
    parts = []
    for plan in plans:
        columns = columns_of(plan, blocks)
        fitted = fit_map(plan, rows.moments(plan.pairs, columns), columns)
        parts.append(HeadPart(plan.name, fitted))
    return tuple(parts)

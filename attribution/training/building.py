"""From a trained network to an encoder on disk: heads, reference, card and background."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.training.config import TrainingConfig
from attribution.training.fitting import HeadKind, PartPlan, fit_parts
from attribution.training.images import ImageSet
from models.backbones.residual import ResidualNet
from models.background import BACKGROUND, Background, save_background, thumbnail
from models.card import BackboneCard, Card, PartCard, PreprocessingCard
from models.checkpoints import load_encoder_folder, save_encoder
from models.encoder import Encoder
from models.heads import Head
from models.preprocessing import Preprocessing

REFERENCE_ROWS = 1000
ENCODER_SIDE = 128


def plans_for(head: HeadKind, components: int) -> tuple[PartPlan, ...]:
    """The parts of an encoder with this head: `cca` has two, the others one."""
    if head != "cca":
        return (PartPlan("whole", head, ("views",), components),)
    return (
        PartPlan("structure", head, ("views", "structure"), components),
        PartPlan("appearance", head, ("views", "appearance"), components),
    )


class UnfitHead(ValueError):
    """A head that cannot be fitted to what there is."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the card says in words."""

    name: str
    data: str = ""
    command: str = ""
    licence: str = ""
    description: str = ""
    limits: str = ""


def build_encoder(
    folder: Path,
    net: ResidualNet,
    images: ImageSet,
    *,
    config: TrainingConfig,
    description: Description,
    plans: Sequence[PartPlan],
    reference: Iterable[Image.Image] = (),
    background: Iterable[Image.Image] | None = None,
    size: int = ENCODER_SIDE,
    limit: int | None = None,
    on_images: Callable[[int], None] | None = None,
) -> Encoder:
    """Fit the heads, write the encoder to `folder` and load it back.

    Args:
        folder: created if need be; an encoder already there is replaced.
        net: the trained network, in evaluation mode.
        images: what the heads are fitted on, read at side `size`.
        config: the recipe, written into the card.
        description: words for the card.
        plans: the parts.
        reference: pictures for the reference rows, which an encoder of several parts needs.
        background: pictures of neither training nor fitting; embedded beside the encoder.
        size: side of the square that the encoder sees.
        limit: fit the heads on so many images only.
        on_images: progress of fitting.
    """
    shape = Preprocessing(size, size)
    parts = fit_parts(net, images, plans, shape, seed=config.seed, limit=limit, on_images=on_images)
    head = Head(net.dimension, parts)
    card = Card(
        name=description.name,
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=PreprocessingCard(height=size, width=size),
        parts=tuple(
            PartCard(
                name=part.name,
                head=plan.head,
                dimension=part.dimension,
                fitted_on=" and ".join(plan.pairs),
            )
            for part, plan in zip(head.parts, plans, strict=True)
        ),
        fusion="max-standardised" if len(head.parts) > 1 else "single",
        licence=description.licence,
        description=description.description,
        data=description.data,
        command=description.command,
        limits=description.limits,
        recipe=config.model_dump(mode="json"),
    )
    rows = None
    if len(head.parts) > 1:
        rows = _embed(Encoder(card, net, head), reference)[0]
    save_encoder(folder, card, net, parts, reference=rows)
    (folder / BACKGROUND).unlink(missing_ok=True)  # one of another encoder would be refused
    encoder = load_encoder_folder(folder)
    if background is not None:
        embedded, thumbnails = _embed(encoder, background)
        save_background(folder, Background(encoder.model_id, embedded, thumbnails))
    return encoder


def check_plans(plans: Sequence[PartPlan], *, descriptor: int, images: int) -> None:
    """Refuse, before hours of training, a head that could not be fitted after it.

    Raises:
        UnfitHead: more components than the descriptor has columns, or than there are images.
    """
    for plan in plans:
        if plan.head != "none" and plan.components > min(descriptor, images):
            raise UnfitHead(
                f"{plan.components} components need as many columns and images, but there are "
                f"{descriptor} and {images}: lower --components"
            )


def _embed(
    encoder: Encoder, pictures: Iterable[Image.Image]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Rows and thumbnails of pictures, through the very path of a query."""
    rows: list[NDArray[np.float32]] = []
    thumbnails: list[NDArray[np.uint8]] = []
    waiting = iter(pictures)
    while block := list(islice(waiting, 64)):
        rows.append(encoder.encode(block, domain="query"))
        thumbnails.extend(thumbnail(picture) for picture in block)
    if not rows:
        raise UnfitHead("no reference or background picture could be read")
    return np.concatenate(rows), np.stack(thumbnails)

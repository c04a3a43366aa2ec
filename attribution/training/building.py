"""From a trained network to an encoder on disk: heads, reference, card and background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from attribution.training.config import TrainingConfig
from attribution.training.fitting import HeadKind, PartPlan, embed_images, fit_parts
from attribution.training.images import ImageSet
from models.backbones.residual import ResidualNet
from models.background import Background, save_background, thumbnail
from models.card import BackboneCard, Card, PartCard, PreprocessingCard
from models.checkpoints import load_encoder_folder, save_encoder
from models.encoder import Encoder
from models.heads import Head
from models.preprocessing import Preprocessing

REFERENCE_ROWS = 1000


def plans_for(head: HeadKind, components: int) -> tuple[PartPlan, ...]:
    """The parts of an encoder with this head: `cca` has two, the others one."""
    if head != "cca":
        return (PartPlan("whole", head, ("views",), components),)
    return (
        PartPlan("structure", head, ("views", "structure"), components),
        PartPlan("appearance", head, ("views", "appearance"), components),
    )


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
    background: ImageSet | None = None,
    size: int = 128,
    on_images: Callable[[int], None] | None = None,
) -> Encoder:
    """Fit the heads, write the encoder to `folder` and load it back.

    Args:
        folder: created if need be; an encoder already there is replaced.
        net: the trained network, in evaluation mode.
        images: what the heads are fitted on; the first 1,000 become the reference rows.
        config: the recipe, written into the card.
        description: words for the card.
        plans: the parts.
        background: images of neither training nor fitting; embedded beside the encoder.
        size: side of the square that the encoder sees.
        on_images: progress of fitting.
    """
    shape = Preprocessing(size, size)
    parts = fit_parts(net, images, plans, shape, seed=config.seed, on_images=on_images)
    head = Head(net.dimension, parts)
    reference = None
    if len(head.parts) > 1:
        chosen = images.subset(range(min(REFERENCE_ROWS, len(images))))
        reference = embed_images(net, head, chosen, shape)
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
    save_encoder(folder, card, net, parts, reference=reference)
    encoder = load_encoder_folder(folder)
    if background is not None:
        save_background(folder, embed_background(encoder, background))
    return encoder


def embed_background(encoder: Encoder, images: ImageSet) -> Background:
    """Rows and thumbnails of background images, as the encoder will see queries."""
    pictures = (
        Image.fromarray(np.ascontiguousarray(pixels.numpy().transpose(1, 2, 0)))
        for pixels in images.pixels
    )
    rows, thumbnails = [], []
    block: list[Image.Image] = []
    for picture in pictures:
        thumbnails.append(thumbnail(picture))
        block.append(picture)
        if len(block) == 64:
            rows.append(encoder.encode(block, domain="query"))
            block.clear()
    if block:
        rows.append(encoder.encode(block, domain="query"))
    return Background(encoder.model_id, np.concatenate(rows), np.stack(thumbnails))

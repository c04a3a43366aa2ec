"""From a trained network to an encoder on disk: heads, reference, card and background."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attribution.synthesis.background import StrataSizes, make_background
from attribution.training.data.images import ImageSet
from attribution.training.heads.fitting import fit_parts
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.plans import PartPlan, UnfitHead
from attribution.training.recipe.recipes import Recipe
from models.backbones.features import Backbone
from models.backbones.residual import ResidualNet
from models.background import BACKGROUND, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import load_encoder_folder, save_encoder
from models.encoder import Encoder
from models.heads import Head, HeadPart
from models.images.preprocessing import Preprocessing

REFERENCE_ROWS = 1000
ENCODER_SIDE = 128


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
    net: Backbone,
    images: ImageSet | None,
    *,
    config: Recipe | TrainingConfig | HeadRecipe,
    description: Description,
    plans: Sequence[PartPlan],
    parts: tuple[HeadPart, ...] | None = None,
    origin: Card | None = None,
    reference: Iterable[Image.Image] = (),
    described: Tensor | None = None,
    background: Iterable[Image.Image] | None = None,
    background_count: int = 0,
    strata: StrataSizes | None = None,
    size: int = ENCODER_SIDE,
    mirrored_query: bool = True,
    hubness: float = 0.5,
    limit: int | None = None,
    on_images: Callable[[int], None] | None = None,
    on_background: Callable[[int], None] | None = None,
) -> Encoder:
    """Fit the heads unless they are given, write the encoder to `folder` and load it back.

    Args:
        folder: created if need be; an encoder already there is replaced.
        net: the trained network, in evaluation mode.
        images: what the heads are fitted on, read as the encoder sees them; None with `parts`.
        config: the recipe, written into the card.
        description: words for the card.
        plans: of the parts.
        parts: the parts themselves, in that order, where they are made already (`train_head`).
        origin: card of the encoder that the network comes from. Its backbone and preprocessing
            are kept, and its licence where the description has none. By default the network is
            a `ResidualNet` that sees whole pictures, squashed.
        reference: pictures for the reference rows, which an encoder of several parts needs, and
            one of a single part to decide while little is held.
        described: `(n, d)` descriptors to take them from instead, where there are any already.
        background: pictures of neither training nor fitting; embedded beside the encoder, as
            they are and, drawn among the first `background_count`, generated and laundered.
        background_count: how many they are about to be.
        strata: how many of them pass through the generator and through laundering.
        size: side of the square that the encoder sees, where there is no `origin`.
        mirrored_query: a query is scored as the larger of itself and its mirror image.
        hubness: strength of the correction of an encoder of several parts; see `Head`.
        limit: fit the heads on so many images only.
        on_images: progress of fitting.
        on_background: progress of the background, in rows.

    Raises:
        UnfitHead: neither images nor parts, or a head that cannot be fitted.
    """
    backbone, preprocessing = _cards(net, origin, size)
    if parts is None:
        if images is None:
            raise UnfitHead("a head needs images to be fitted on: give them, or ready parts")
        parts = fit_parts(
            net, images, plans, preprocessing, seed=config.seed, limit=limit, on_images=on_images
        )
    head = Head(net.dimension, parts)
    several = len(head.parts) > 1
    words = asdict(description)
    if origin is not None:
        words["licence"] = description.licence or origin.licence
        words["description"] = description.description or origin.description
    card = Card(
        **words,
        backbone=backbone,
        preprocessing=preprocessing,
        parts=_part_cards(head, plans),
        fusion="harmonic-mean-p" if several else "single",
        mirrored_query=mirrored_query,
        hubness=hubness if several else 0.0,
        recipe=config.as_told() if isinstance(config, Recipe) else config.model_dump(mode="json"),
    )
    rows = None
    if described is not None and len(described):
        rows = head(described[reference_places(len(described))].float()).numpy()
    else:
        rows = _reference_rows(Encoder(card, net, head), reference)
    if several and rows is None:
        raise UnfitHead("no reference picture could be read")
    save_encoder(folder, card, net, parts, reference=rows)
    (folder / BACKGROUND).unlink(missing_ok=True)  # one of another encoder would be refused
    encoder = load_encoder_folder(folder)
    if background is not None:
        made = make_background(
            encoder,
            background,
            background_count,
            sizes=strata,
            seed=config.seed,
            on_picture=on_background,
        )
        write_background(folder / BACKGROUND, made)
    return encoder


def reference_places(images: int) -> list[int]:
    """Which of so many images, sorted by name, make reference rows: spread evenly over them.

    The first thousand of a collection in folders would often be of one kind.
    """
    count = min(images, REFERENCE_ROWS)
    return [place * images // count for place in range(count)]


def _cards(net: Backbone, origin: Card | None, size: int) -> tuple[BackboneCard, Preprocessing]:
    """What the card says of the network and of how it sees pictures."""
    if origin is not None:
        return origin.backbone, origin.preprocessing
    if not isinstance(net, ResidualNet):
        raise UnfitHead(
            f"how to build a {type(net).__name__} again is not known: give the card of the "
            "encoder that it comes from as origin"
        )
    backbone = BackboneCard(name="residual", widths=net.widths, blocks=net.blocks)
    return backbone, Preprocessing(height=size, width=size)


def _part_cards(head: Head, plans: Sequence[PartPlan]) -> tuple[PartCard, ...]:
    return tuple(
        PartCard(
            name=part.name,
            head=plan.head,
            dimension=part.dimension,
            fitted_on=" and ".join(plan.pairs),
        )
        for part, plan in zip(head.parts, plans, strict=True)
    )


def _reference_rows(
    encoder: Encoder, pictures: Iterable[Image.Image]
) -> NDArray[np.float32] | None:
    """Rows of pictures, through the very path of a source; None without any."""
    waiting = iter(pictures)
    rows: list[NDArray[np.float32]] = []
    while block := list(islice(waiting, 64)):
        rows.append(encoder.encode(block))
    return np.concatenate(rows) if rows else None

"""A small gallery of real pictures, ranked as a service would rank them."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from torch import Tensor
from torch.nn import functional

from attribution.attributor import Attributor
from attribution.calibration import Calibration
from attribution.catalog import Catalog, NewSource
from attribution.index import EmbeddedIndex, Follower
from attribution.retrieval.fusion import fusion_of
from models.backbones.features import Backbone, Features
from models.background import Background, thumbnail
from models.card import BackboneCard, Card, PartCard
from models.encoder import Encoder
from models.heads.affine import Head
from models.images.preprocessing import Preprocessing
from models.images.previews import make_preview
from tests.support.pictures import jpeg, picture, png

SIDE = 6


class ColourThumbnail(Backbone):
    """The colours of a 6 x 6 thumbnail, their mean taken off."""

    dimension = 3 * SIDE * SIDE
    patch_dimension = 3

    def forward(self, images: Tensor) -> Features:
        small = functional.adaptive_avg_pool2d(images, SIDE).flatten(1)
        return Features(small - small.mean(dim=1, keepdim=True) + 1e-4, images)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    card = Card(
        name="colours",
        backbone=BackboneCard(name="colours"),
        preprocessing=Preprocessing(height=24, width=24),
        parts=(PartCard(name="whole", head="none", dimension=ColourThumbnail.dimension),),
    )
    return Encoder(card, ColourThumbnail(), Head(ColourThumbnail.dimension))


@pytest.fixture(scope="session")
def background(encoder) -> Background:
    pictures = [picture(seed) for seed in range(50_000, 50_200)]
    return Background(
        encoder.model_id,
        encoder.encode(pictures, domain="query"),
        np.stack([thumbnail(each) for each in pictures]),
    )


@pytest.fixture
def hold(catalog, encoder) -> Callable[..., list]:
    """`hold(seeds, collection)` adds pictures; the same seed in two collections is a copy.

    With `quality` they were saved as JPEG before: other bytes, and another uri, of one picture.
    """

    def add(seeds, collection="default", *, quality=None):
        pictures = [picture(seed) for seed in seeds]
        if quality is not None:
            pictures = [Image.open(io.BytesIO(jpeg(each, quality))) for each in pictures]
        kind = "picture" if quality is None else "jpeg"
        rows = encoder.encode(pictures)
        added = catalog.add(
            encoder.model_id,
            [
                NewSource(
                    collection=collection,
                    sha256=hashlib.sha256(png(each)).hexdigest(),
                    width=96,
                    height=72,
                    format="png",
                    uri=f"{kind}:{seed}",
                    embedding=row,
                    preview=make_preview(each),
                )
                for seed, each, row in zip(seeds, pictures, rows, strict=True)
            ],
        )
        return [item.source for item in added.items]

    return add


@pytest.fixture
def open_attributor(catalog: Catalog, encoder, background) -> Callable[..., Attributor]:
    """An attributor on what the catalog holds now."""

    def opened(null: Background | None = background) -> Attributor:
        index = EmbeddedIndex(encoder.parts, encoder.dimension, encoder.model_id, catalog.epoch)
        Follower(catalog, index, encoder.model_id).catch_up()
        calibration = Calibration(index, fusion_of(encoder), null, catalog)
        calibration.build()
        return Attributor(encoder, catalog, index, calibration)

    return opened

"""Opens what answers a query: encoder, catalog, index, calibration. Serves nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.backgrounds import extended, load_extension
from app.settings import Settings
from attribution.attributor import Attributor
from attribution.calibration import Calibration
from attribution.calibration.fitted import NewestShares, default_shares
from attribution.catalog import Catalog
from attribution.index import FaissIndex, open_index
from attribution.retrieval import fusion_of
from models.background import Background
from models.decoding import DecodingLimits
from models.encoder import Encoder
from models.loading import load_encoder, load_encoder_background


@dataclass(frozen=True, slots=True, eq=False)
class Vision:
    """The encoder with its background, which stay the same while the process lives."""

    encoder: Encoder
    background: Background | None


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """The sources held, ready to be asked about; not calibrated until `calibration.build`."""

    catalog: Catalog
    index: FaissIndex
    calibration: Calibration
    attributor: Attributor


def load_vision(settings: Settings) -> Vision:
    """The encoder that the settings name; the background that ships with it, and what was added."""
    encoder = load_encoder(
        settings.encoder, weights=settings.encoder_weights, device=settings.device
    )
    shipped = load_encoder_background(settings.encoder, encoder)
    return Vision(encoder, extended(shipped, load_extension(settings.data, encoder)))


@contextmanager
def open_gallery(settings: Settings, vision: Vision) -> Iterator[Gallery]:
    """The catalog as it is now, beside a running service if need be; no snapshot is written."""
    encoder = vision.encoder
    with Catalog.open(settings.data, url=settings.database_url) as catalog:
        index = open_index(catalog, encoder, settings.snapshots)
        fusion = fusion_of(encoder)
        calibration = Calibration(index, fusion, vision.background, catalog)
        shares = NewestShares(catalog, encoder.model_id, default_shares(encoder.card))
        attributor = Attributor(encoder, catalog, index, calibration, shares)
        yield Gallery(catalog, index, calibration, attributor)


def decoding_limits(settings: Settings) -> DecodingLimits:
    """What an image must keep to before it is decoded."""
    return DecodingLimits(settings.max_image_bytes, settings.max_image_pixels)

"""Opens what answers a query: encoder, catalog, index, calibration. Serves nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.encoders.load import Vision, active_settings, load_registered, load_vision
from app.settings import Settings
from attribution.attributor import Attributor
from attribution.calibration import Calibration
from attribution.calibration.shares.newest import NewestShares, default_shares
from attribution.catalog import Catalog
from attribution.index import EmbeddedIndex, open_index
from attribution.retrieval.fusion import fusion_of


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """The sources held, ready to be asked about; not calibrated until `calibration.build`."""

    catalog: Catalog
    index: EmbeddedIndex
    calibration: Calibration
    attributor: Attributor

    def prepare(self, collections: Iterable[str] = ()) -> None:
        """Calibrate, once it is known that the collections to be asked are there.

        Raises:
            CollectionNotFound: one of them is not.
        """
        for name in collections:
            self.catalog.collection(name)
        self.calibration.build()


@contextmanager
def open_gallery(settings: Settings, vision: Vision) -> Iterator[Gallery]:
    """The catalog as it is now, beside a running service if need be; no snapshot is written."""
    with Catalog.open(settings.data, url=settings.database_url) as catalog:
        yield gallery_of(settings, catalog, vision)


def gallery_of(settings: Settings, catalog: Catalog, vision: Vision) -> Gallery:
    """What an open catalog holds, as this encoder sees it; others may be open beside it."""
    encoder = vision.encoder
    index = open_index(catalog, encoder, settings.snapshots)
    calibration = Calibration(index, fusion_of(encoder), vision.background, catalog)
    shares = NewestShares(catalog, encoder.model_id, default_shares(encoder.card))
    attributor = Attributor(encoder, catalog, index, calibration, shares)
    return Gallery(catalog, index, calibration, attributor)


def vision_of(settings: Settings, catalog: Catalog, given: Vision | None) -> Vision:
    """The encoder to begin to serve with: the catalog's active one, else `given` or the settings'.

    Raises:
        EncoderUnavailable: the active one cannot be loaded.
    """
    active = catalog.encoders.registry().active_encoder
    if active is None or (given is not None and given.encoder.model_id == active.model_id):
        return given or load_vision(settings)
    active_settings(settings, catalog)  # says so where the settings name another
    return load_registered(settings, active)

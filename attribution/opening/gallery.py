"""Opens what answers a query: encoder, catalog, index, calibration. Serves nothing itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from attribution.attributor import Attributor
from attribution.calibration import Calibration
from attribution.calibration.shares.newest import NewestShares, default_shares
from attribution.catalog import Catalog, CatalogError
from attribution.folder_lock import FolderInUse, folder_lock
from attribution.index import Follower, Index, open_index, rebuild
from attribution.index.milvus import Progress, open_milvus
from attribution.opening.keeping import kept_null_of, save_index
from attribution.opening.load import Vision, active_place, load_registered, load_vision
from attribution.opening.place import Place
from attribution.retrieval.fusion import fusion_of
from models.encoder import Encoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OpenedGallery:
    """The sources held, ready to be asked about; calibrated once `calibration.ensure` returns."""

    catalog: Catalog
    index: Index
    calibration: Calibration
    attributor: Attributor

    def prepare(self, collections: Iterable[str] = ()) -> None:
        """Calibrate, once it is known that the collections to be asked are there.

        The null of some collections is made when they are asked, and that of all is not needed.

        Raises:
            CollectionNotFound: one of them is not.
        """
        names = list(collections)
        for name in names:
            self.catalog.collection(name)
        if not names:
            self.calibration.ensure()


@contextmanager
def open_gallery(place: Place, vision: Vision) -> Iterator[OpenedGallery]:
    """The catalog as it is now, beside a running service if need be.

    Where no service runs, index and null are saved at the end if they took their time, so that
    whoever opens the gallery next need not wait for them.
    """
    with Catalog.existing(place.data, url=place.database_url) as catalog:
        gallery = gallery_of(place, catalog, vision)
        yield gallery
        keep(place, gallery)


def gallery_of(
    place: Place,
    catalog: Catalog,
    vision: Vision,
    *,
    anew: bool = False,
    progress: Progress | None = None,
) -> OpenedGallery:
    """What an open catalog holds, as this encoder sees it; others may be open beside it.

    Args:
        place: where snapshots are.
        catalog: whose sources.
        vision: encoder and background.
        anew: build everything from the catalog, whatever is saved.
        progress: told of rows that are filled into a Milvus; the log where None.

    Raises:
        IndexUnavailable: the index is in a Milvus that cannot be reached or used.
    """
    encoder = vision.encoder
    # Before the index: so the index cannot be behind it.
    kept = None if anew else kept_null_of(place, catalog, vision)
    index = _index_of(place, catalog, encoder, anew=anew, progress=progress)
    calibration = Calibration(index, fusion_of(encoder), vision.background, catalog)
    calibration.resume(kept)
    shares = NewestShares(catalog, encoder.model_id, default_shares(encoder.card))
    attributor = Attributor(encoder, catalog, index, calibration, shares)
    return OpenedGallery(catalog, index, calibration, attributor)


def keep(place: Place, gallery: OpenedGallery) -> None:
    """Save index and null for the next start, if it would save time and nobody holds the folder."""
    try:
        if gallery.calibration.worth_keeping and place.data.stat().st_uid == os.geteuid():
            save(place, gallery)
    except (FolderInUse, CatalogError, OSError) as error:
        logger.info("index and null were not saved for the next start: %s", error)


def save(place: Place, gallery: OpenedGallery) -> None:
    """Save index and null.

    The catalog is caught up with while the folder is held: what is erased meanwhile waits, and
    what was erased before is not written again.

    Raises:
        FolderInUse: a service runs on the folder.
        CatalogError, OSError: the catalog cannot be read, or the snapshot not written.
    """
    index, calibration, catalog = gallery.index, gallery.calibration, gallery.catalog
    with folder_lock(place.data, "a command that saves the index", brief=True):
        follower = Follower(catalog, index, index.model_id)
        follower.on_change(calibration.apply)
        follower.catch_up()
        if index.clean_generation < catalog.compaction.wanted():
            index.compact()
        save_index(catalog, index, place.snapshots, calibration.kept())


def _index_of(
    place: Place, catalog: Catalog, encoder: Encoder, *, anew: bool, progress: Progress | None
) -> Index:
    """The index where the place says that it is, as it is now."""
    if place.index_url is not None:
        return open_milvus(catalog, encoder, place.index_url, anew=anew, progress=progress)
    if anew:
        return rebuild(catalog, encoder)
    return open_index(catalog, encoder, place.snapshots)


def vision_of(place: Place, catalog: Catalog, given: Vision | None) -> Vision:
    """The encoder to begin to serve with: the catalog's active one, else `given` or the settings'.

    Raises:
        EncoderUnavailable: the active one cannot be loaded.
    """
    active = catalog.encoders.registry().active_encoder
    if active is None or (given is not None and given.encoder.model_id == active.model_id):
        return given or load_vision(place)
    active_place(place, catalog)  # says so where another is named
    return load_registered(place, active)

"""Opens what answers a query: encoder, catalog, index, calibration. Serves nothing itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from attribution.attributor import Attributor
from attribution.calibration import Calibration
from attribution.calibration.published import PublishedCalibration
from attribution.calibration.shares.newest import NewestShares, default_shares
from attribution.catalog import Catalog, CatalogError
from attribution.folder_lock import FolderInUse, folder_lock
from attribution.index import Companion, Follower, Index, IndexUnavailable, open_index, rebuild
from attribution.index.milvus import MilvusIndex, Progress, open_milvus
from attribution.opening.keeping import kept_null_of, save_index
from attribution.opening.load import (
    Vision,
    active_place,
    load_registered,
    load_vision,
    why_nothing_is_found,
)
from attribution.opening.place import Place
from attribution.opening.roles import Publisher, Writing, begin_reading, is_written
from attribution.retrieval.fusion import fusion_of
from models.encoder import Encoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OpenedGallery:
    """The sources held, ready to be asked about; calibrated once `calibration.ensure` returns.

    Attributes:
        catalog: whose sources.
        index: that searches them.
        calibration: of its encoder.
        attributor: answers.
        follower: brings index and calibration up to changes of the catalog, when it is asked to.
        publisher: tells other processes how far the index is, where this one writes it for them.
    """

    catalog: Catalog
    index: Index
    calibration: Calibration
    attributor: Attributor
    follower: Follower
    publisher: Publisher | None = None

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
    writing: Writing | None = None,
) -> OpenedGallery:
    """What an open catalog holds, as this encoder sees it; others may be open beside it.

    An index in Milvus that another process writes is only read.

    Args:
        place: where snapshots are.
        catalog: whose sources.
        vision: encoder and background.
        anew: build everything from the catalog, whatever is saved.
        progress: told of rows that are filled into a Milvus; the log where None.
        writing: of the process that writes an index in Milvus for others; None for one that
            writes it where nobody else does.

    Raises:
        IndexUnavailable: Milvus cannot be reached or used, or is to be filled anew beneath another.
    """
    encoder = vision.encoder
    if (reason := why_nothing_is_found(catalog, place.encoder, encoder)) is not None:
        logger.warning("%s", reason)
    # Before the index: so the index cannot be behind it.
    kept = None if anew else kept_null_of(place, catalog, vision)
    if place.index_url is not None and writing is None and is_written(catalog):
        if anew:
            raise IndexUnavailable(
                "another process writes the index, which cannot be made anew beneath it: stop it, "
                "or have `attribution verify --repair` mend what is wrong"
            )
        return reading_gallery(place.index_url, catalog, vision, kept)
    index = _index_of(place, catalog, encoder, writing, anew=anew, progress=progress)
    calibration = Calibration(index, fusion_of(encoder), vision.background, catalog)
    calibration.resume(kept)
    bound = None if writing is None else (lambda: sys.maxsize if writing.held() else -1)
    gallery = _opened(catalog, vision, index, calibration, bound)
    if writing is None or not isinstance(index, MilvusIndex):
        return gallery
    publisher = Publisher(catalog, index, calibration, gallery.follower, writing.holder)
    return replace(gallery, publisher=publisher)


def reading_gallery(
    url: str, catalog: Catalog, vision: Vision, kept: Companion | None
) -> OpenedGallery:
    """What an open catalog holds, searched in a Milvus that another process writes.

    Raises:
        IndexUnavailable: nobody does, or Milvus cannot be reached.
    """
    index, reading = begin_reading(catalog, vision, url)
    calibration = PublishedCalibration(
        index, fusion_of(vision.encoder), vision.background, catalog, reading.newest
    )
    calibration.resume(kept)
    return _opened(catalog, vision, index, calibration, reading.look)


def _opened(
    catalog: Catalog,
    vision: Vision,
    index: Index,
    calibration: Calibration,
    bound: Callable[[], int] | None,
) -> OpenedGallery:
    encoder = vision.encoder
    shares = NewestShares(catalog, encoder.model_id, default_shares(encoder.card))
    follower = Follower(catalog, index, encoder.model_id, bound=bound)
    follower.on_change(calibration.apply)
    attributor = Attributor(encoder, catalog, index, calibration, shares)
    return OpenedGallery(catalog, index, calibration, attributor, follower)


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
        gallery.follower.catch_up()
        if index.clean_generation < catalog.compaction.wanted():
            index.compact()
        save_index(catalog, index, place.snapshots, calibration.kept())


def _index_of(
    place: Place,
    catalog: Catalog,
    encoder: Encoder,
    writing: Writing | None,
    *,
    anew: bool,
    progress: Progress | None,
) -> Index:
    """The index where the place says that it is, as it is now."""
    if place.index_url is not None:
        refilling = partial(_withdraw, catalog, encoder.model_id, writing)
        return open_milvus(
            catalog, encoder, place.index_url, anew=anew, progress=progress, refilling=refilling
        )
    if anew:
        return rebuild(catalog, encoder)
    return open_index(catalog, encoder, place.snapshots)


def _withdraw(catalog: Catalog, model_id: str, writing: Writing | None) -> None:
    """No process is to search an index that is filled from the start, nor two to fill it."""
    allowed, holder = writing is None or writing.held(), None if writing is None else writing.holder
    if allowed and catalog.published.at(model_id) is not None:
        allowed = catalog.published.withdraw(model_id, holder=holder)
    if not allowed:
        raise IndexUnavailable("another process fills the index now")


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

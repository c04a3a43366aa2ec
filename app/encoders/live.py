"""What is live: one encoder that answers (`Serving`), with those that embed beside it (`Live`).

Knows no route, and not when another takes over. Of the words of one stem: a `Service` is all that
runs on a data folder (app.service), a server is how it listens (app.server), `serve` the command.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.encoders.lease import HeldLease
from app.inference.embedder import Embedder
from app.inference.searches import Searches
from app.settings import Settings
from attribution.answer import Attribution
from attribution.attributor import Attributor, Terms
from attribution.calibration import Calibration
from attribution.catalog import Catalog
from attribution.index import Follower, Index, IndexLost
from attribution.opening.gallery import OpenedGallery, gallery_of, reading_gallery
from attribution.opening.keeping import kept_null_of
from attribution.opening.load import Vision
from attribution.opening.roles import Publisher, Writing, await_index
from models.background import Background
from models.encoder import Encoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """One encoder with all that answers by it; its index follows the catalog until `stop`.

    There is a `publisher` where this process writes its index for others.
    """

    embedder: Embedder
    index: Index
    calibration: Calibration
    calibrating: threading.Thread
    attributor: Attributor
    searches: Searches[Terms, Attribution]
    follower: Follower
    publisher: Publisher | None = None

    @property
    def encoder(self) -> Encoder:
        """What everything else here belongs to."""
        return self.embedder.encoder

    @property
    def model_id(self) -> str:
        """Of the encoder."""
        return self.encoder.model_id

    @property
    def writes(self) -> bool:
        """Whether this process writes the index that others search."""
        return self.publisher is not None

    @property
    def lost(self) -> bool:
        """Whether what holds the rows that it writes holds them no more."""
        return self.publisher is not None and (
            self.publisher.lost or isinstance(self.follower.failed, IndexLost)
        )

    def mend(self) -> None:
        """Make the null anew, here and now, where a failure has left none."""
        if not self.calibrating.is_alive():
            self.calibration.ensure()

    def stop(self) -> None:
        """End searching, following and calibrating. The embedder stays: it may work for others."""
        self.searches.close()
        self.calibrating.join()
        self.follower.stop()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Live:
    """What serves at one moment; a request keeps to one from its beginning to its end.

    Attributes:
        serving: answers.
        companions: further encoders under which new sources are embedded, by `model_id`.
        failures: registered encoders that cannot be loaded here, and why.
    """

    serving: Serving
    companions: Mapping[str, Embedder] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


def begin_serving(
    settings: Settings,
    catalog: Catalog,
    embedder: Embedder,
    background: Background | None,
    lease: HeldLease | None = None,
) -> Serving:
    """Open the encoder's index, follow the catalog with it, and calibrate it.

    With the null that was saved beside the index it is calibrated at once, else in a thread.

    Args:
        settings: say where the index is.
        catalog: that it follows.
        embedder: with the encoder.
        background: that it is calibrated by.
        lease: of whoever writes an index that several processes search; without it, or while
            another holds it, such an index is only read.
    """
    gallery = _opened(settings, catalog, Vision(embedder.encoder, background), lease)
    follower, attributor = gallery.follower, gallery.attributor
    follower.start(settings.follow_seconds)

    def calibrate() -> None:
        gallery.calibration.ensure()
        if gallery.publisher is not None:
            gallery.publisher.publish_due()

    return Serving(
        embedder=embedder,
        index=gallery.index,
        calibration=gallery.calibration,
        calibrating=_in_background(calibrate),
        attributor=attributor,
        searches=embedder.searches(
            lambda terms, rows: attributor.attribute(rows, terms), attributor.at_hand
        ),
        follower=follower,
        publisher=gallery.publisher,
    )


def _opened(
    settings: Settings, catalog: Catalog, vision: Vision, lease: HeldLease | None
) -> OpenedGallery:
    if settings.index_url is None:
        return gallery_of(settings, catalog, vision)
    if lease is not None:
        await_index(catalog, vision, lease.held)
        if lease.held():
            writing = Writing(lease.holder, lease.held)
            return gallery_of(settings, catalog, vision, writing=writing)
    kept = kept_null_of(settings, catalog, vision)
    return reading_gallery(settings.index_url, catalog, vision, kept)


def _in_background(build: Callable[[], None]) -> threading.Thread:
    """Calibrate beside the first queries: until it is done they get ranks, but no decision."""

    def run() -> None:
        try:
            build()
        except Exception:
            logger.exception("calibration failed: until it works answers have no decision")

    thread = threading.Thread(target=run, name="calibration", daemon=True)
    thread.start()
    return thread

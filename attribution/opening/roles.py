"""One process writes the index that others search: how it publishes, and how they read that.

What is published is in the catalog; see `attribution/catalog/published.py`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attribution.calibration import Calibration
from attribution.calibration.kept import null_owner
from attribution.calibration.published import written
from attribution.catalog import INDEXER, Catalog, Published
from attribution.index import ChangeBatch, Follower, IndexLost, IndexUnavailable
from attribution.index.milvus import MilvusIndex, MilvusReader, State, search_milvus
from attribution.opening.load import Vision
from models.background import Background

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_PATIENCE = 60.0
"""How long a start waits for the first thing published: a Milvus may be filled meanwhile."""
_OF_INDEX = ("last_id", "lists", "recall_at_10")


@dataclass(frozen=True, slots=True)
class Writing:
    """What allows a process to write the index.

    Attributes:
        holder: who holds the lease.
        held: whether it still does.
    """

    holder: str
    held: Callable[[], bool]


def is_written(catalog: Catalog) -> bool:
    """Whether some process writes the index for others now."""
    lease = catalog.leases.find(INDEXER)
    return lease is not None and lease.valid


class Publisher:
    """Publishes an index and its null after each batch.

    Args:
        catalog: where it is published.
        index: that is published.
        calibration: of the index.
        follower: feeds both; the publisher becomes the last of its subscribers.
        holder: of the lease.

    Attributes:
        lost: whether Milvus was found without the index.
    """

    def __init__(
        self,
        catalog: Catalog,
        index: MilvusIndex,
        calibration: Calibration,
        follower: Follower,
        holder: str,
    ) -> None:
        self._catalog, self._index, self._calibration = catalog, index, calibration
        self._follower, self._holder = follower, holder
        self._due, self._ended, self.lost = True, False, False
        follower.on_change(self._changed)

    def end(self) -> None:
        """Another one of this process publishes the same index from now on."""
        self._ended = True

    def due(self) -> None:
        """What was published may be another's: publish at the next occasion."""
        self._due = True

    def tend(self) -> None:
        """See to it that Milvus has what is published, and publish what is due."""
        try:
            self._index.settle()
        except IndexLost as error:
            self.lost = True
            logger.warning("%s", error)
        else:
            self.publish_due()

    def publish_due(self) -> None:
        """Tell readers what they could not be told when it was new."""
        if self._due:
            with self._follower.hold():
                self._publish()

    def _changed(self, batch: ChangeBatch) -> None:
        """After a batch that index and calibration have applied."""
        del batch
        self._due = True
        self._publish()

    def _publish(self) -> None:
        """Tell readers how far the index is, which nothing changes meanwhile.

        What is published can be searched: Milvus has acknowledged it before the index got there.
        While the null is made from the start, they stay with what they have: it goes together.
        """
        if self._ended:
            return
        index, calibration = self._index.state, self._calibration.report()
        state = calibration.state.state
        if state == "building" and self._catalog.published.at(self._index.model_id) is not None:
            return
        known = {"calibration": state, **{name: getattr(index, name) for name in _OF_INDEX}}
        null = None
        if calibration.generation == index.generation:
            null = written(calibration, self._calibration.reference)
        new = Published(index.generation, known, dict(self._calibration.owner), null)
        if self._catalog.published.put(self._index.model_id, new, holder=self._holder):
            self._due = state == "building"
        else:
            logger.warning("nothing is published: the lease has ended, or another goes on from it")


class Reading:
    """What is published of the index of one encoder and background, as of the last look.

    What is published with another background is of no use here: until this process has that one,
    it stays with what it has.
    """

    def __init__(self, catalog: Catalog, model_id: str, owner: Mapping[str, Any]) -> None:
        self._catalog, self._model_id, self._owner = catalog, model_id, dict(owner)
        self.what = f"encoder {model_id} with this background"
        self._lock = threading.Lock()
        self._seen: datetime | None = None
        self._newest: Published | None = None

    def look(self) -> int:
        """Look; the generation that is published, -1 for nothing."""
        with self._lock:
            at = self._catalog.published.at(self._model_id)
            if at != self._seen:
                found = None if at is None else self._catalog.published.find(self._model_id)
                if found is None or dict(found.null_owner) == self._owner:
                    self._newest = found
                self._seen = at
            return -1 if self._newest is None else self._newest.generation

    def newest(self) -> Published | None:
        """What the last look has found."""
        return self._newest

    def state(self) -> State:
        """What searches must know of it now.

        Raises:
            IndexUnavailable: it was withdrawn, since the index is made anew.
        """
        self.look()
        newest = self._newest
        if newest is None:
            raise IndexUnavailable("the index is being made anew by the process that writes it")
        known = {name: newest.state[name] for name in _OF_INDEX}
        return State(generation=newest.generation, whole=True, **known)


def is_published(catalog: Catalog, vision: Vision, generation: int) -> bool:
    """Whether a process that only reads may begin with this encoder and background.

    Args:
        catalog: that it reads.
        vision: what it is to begin with.
        generation: what it has answered by already.
    """
    found = catalog.published.find(vision.encoder.model_id)
    return (
        found is not None
        and found.generation >= generation
        and dict(found.null_owner) == _owner(vision.background)
        and found.state["calibration"] != "building"
    )


def await_index(
    catalog: Catalog, vision: Vision, leads: Callable[[], bool] = lambda: False
) -> Reading:
    """What is published of the index, once something is, or this process leads and is to do so.

    Raises:
        IndexUnavailable: nobody has done so for long.
    """
    reading = Reading(catalog, vision.encoder.model_id, _owner(vision.background))
    deadline, told = time.monotonic() + _PATIENCE, False
    while not leads() and reading.look() < 0:
        if not told:
            logger.info("waiting for an indexer to publish the index of %s", reading.what)
            told = True
        if time.monotonic() > deadline:
            raise IndexUnavailable(
                f"no process has published the index of {reading.what}: start one with "
                "`attribution serve --role indexer` on the same catalog and data folder, and start "
                "all of them anew after the background was extended"
            )
        time.sleep(_LOOK_SECONDS)
    return reading


def begin_reading(catalog: Catalog, vision: Vision, url: str) -> tuple[MilvusReader, Reading]:
    """An index that another process writes, once it has published something.

    Raises:
        IndexUnavailable: it has not for long, or Milvus cannot be reached.
    """
    reading = await_index(catalog, vision)
    return search_milvus(catalog, vision.encoder, url, reading.state(), reading.state), reading


def _owner(background: Background | None) -> dict[str, str | int | float]:
    return {} if background is None else dict(null_owner(background))

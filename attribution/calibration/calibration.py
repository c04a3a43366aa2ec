"""Calibration of one encoder on one index: the null of any searched set, always up to date."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from attribution.answer import CalibrationState
from attribution.calibration.copies import CopyTest, thumbnails_of
from attribution.calibration.neighbours import BackgroundNeighbours
from attribution.calibration.null import Null
from attribution.calibration.statistic import (
    Scores,
    TooFewNeighbours,
    nearest,
    neighbourhood,
)
from attribution.catalog import Catalog
from attribution.index import ChangeBatch, Index
from attribution.retrieval import Fusion
from models.background import Background

logger = logging.getLogger(__name__)
_FILTERS_KEPT = 32
_PATIENCE = 2.0  # seconds a query waits for the null to catch up with the index


class AlphaTooSmall(ValueError):
    """The background is too small to bear out so small an alpha."""

    def __init__(self, alpha: float, smallest: float) -> None:
        self.alpha, self.smallest = alpha, smallest
        super().__init__(
            f"alpha {alpha:g} is below {smallest:.2g}, the smallest p-value that this background "
            "can give: ask for a larger alpha or extend the background"
        )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The null to judge a query by, and the state to report; no null, no decision."""

    null: Null | None
    state: CalibrationState


@dataclass(frozen=True, slots=True)
class _Filtered:
    null: Null | None
    generation: int


class Calibration:
    """Keeps the null of the whole catalog in step with the index, and makes those of filters.

    Args:
        index: what queries search.
        fusion: the encoder's rule for scores.
        background: images without source; None leaves calibration `missing`.
        catalog: where previews of sources are read from.
    """

    def __init__(
        self,
        index: Index,
        fusion: Fusion,
        background: Background | None,
        catalog: Catalog,
    ) -> None:
        self._index, self._fusion, self._background = index, fusion, background
        self._catalog = catalog
        self._changed = threading.Condition(threading.RLock())
        self._filtering = threading.Lock()
        self._building = True  # until the first `build` ends; batches wait meanwhile
        self._pending: list[ChangeBatch] = []
        self._neighbours: BackgroundNeighbours | None = None
        self._null: Null | None = None
        self._filtered: OrderedDict[frozenset[str], _Filtered] = OrderedDict()
        self.id: str | None = None
        if background is not None:
            self.id = _identify(background)
            self._reference = nearest(fusion.scores(background.rows, fusion.reference))
            self._copies = self._new_copy_test()

    def state(self) -> CalibrationState:
        """Whether a decision can be made, and whether the null is that of the index right now.

        `missing` also where a background exists but the encoder has no reference images and the
        catalog is too small to standardise a score by.
        """
        neighbours = self._neighbours
        if self._background is None:
            return CalibrationState(None, "missing")
        if neighbours is None or neighbours.generation < self._index.generation:
            return CalibrationState(self.id, "building")
        return CalibrationState(self.id, "missing" if self._null is None else "fresh")

    def build(self) -> None:
        """Score the whole background against the index; seconds for ten thousand sources."""
        if self._background is None:
            return
        self._building = True
        try:
            self._build(self._background)
        finally:
            self._building = False

    def _build(self, background: Background) -> None:
        neighbours = BackgroundNeighbours(self._index, self._fusion, background.rows)
        with self._changed:
            for batch in self._pending:
                if batch.generation > neighbours.generation:
                    neighbours.apply(batch)
            self._pending.clear()
            self._null = self._statistics(neighbours, self._copies)
            self._neighbours = neighbours
            self._changed.notify_all()

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch of changes that the index has just applied.

        After a failure it starts over from the index: a null with a batch missing would be wrong
        for good, and nobody would see it.
        """
        if self._background is None:
            return
        with self._changed:
            neighbours = self._neighbours
            if neighbours is None and self._building:
                self._pending.append(batch)
                return
            if neighbours is None:  # an earlier failure
                self.build()
                return
            self._neighbours, self._null = None, None
            neighbours.apply(batch)
            self._null = self._statistics(neighbours, self._copies)
            self._neighbours = neighbours
            self._changed.notify_all()

    def current(self, collections: frozenset[str] | None = None) -> Calibrated:
        """The null of a searched set at the index's present generation.

        Ask after searching: an older null knows less than the search did and would let a source
        that came in between pass as significant. Waits up to two seconds for the null to catch
        up; beyond that there is none, the state is `building`, and nothing is decided.
        """
        if self._background is None:
            return Calibrated(None, CalibrationState(None, "missing"))
        wanted = self._index.generation
        if collections is not None:
            null = self._filtered_null(collections, wanted)
            return Calibrated(null, CalibrationState(self.id, "fresh" if null else "missing"))
        with self._changed:
            caught_up = self._changed.wait_for(lambda: self._reached(wanted), timeout=_PATIENCE)
            if not caught_up:
                return Calibrated(None, CalibrationState(self.id, "building"))
            state = CalibrationState(self.id, "missing" if self._null is None else "fresh")
            return Calibrated(self._null, state)

    def _reached(self, generation: int) -> bool:
        return self._neighbours is not None and self._neighbours.generation >= generation

    def _filtered_null(self, collections: frozenset[str], wanted: int) -> Null | None:
        """The null of a filter, kept until the index moves on; one is computed at a time."""
        background = self._background
        if background is None:
            return None
        with self._filtering:
            kept = self._filtered.get(collections)
            if kept is None or kept.generation < wanted:
                neighbours = BackgroundNeighbours(
                    self._index, self._fusion, background.rows, collections
                )
                null = self._statistics(neighbours, self._new_copy_test())
                kept = _Filtered(null, neighbours.generation)
                self._filtered[collections] = kept
            self._filtered.move_to_end(collections)
            while len(self._filtered) > _FILTERS_KEPT:
                self._filtered.popitem(last=False)
            return kept.null

    def _new_copy_test(self) -> CopyTest:
        thumbnails = np.zeros((0, 16, 16), np.uint8)
        if self._background is not None:
            thumbnails = self._background.thumbnails
        return CopyTest(thumbnails, thumbnails_of(self._catalog))

    def _statistics(self, neighbours: BackgroundNeighbours, copies: CopyTest) -> Null | None:
        """Statistics of the background's best matches, copies of sources left out."""
        hits = neighbours.hits
        try:
            best = best_statistics(hits.scores, self._reference)
        except TooFewNeighbours:
            return None
        dropped = copies(hits.ids[:, 0])
        if dropped.any():
            logger.info("%d background images are copies of sources: left out", dropped.sum())
        return Null(np.sort(best[~dropped]), neighbours.generation)


def best_statistics(ranked: Scores, reference: Scores) -> Scores:
    """`(n,)` statistic of each row's best match; -inf where nothing was searched."""
    statistics: Scores = neighbourhood(ranked, reference).standardise(ranked[:, :1])[:, 0]
    return statistics


def _identify(background: Background) -> str:
    digest = hashlib.sha256(background.model_id.encode())
    digest.update(np.ascontiguousarray(background.rows).tobytes())
    return digest.hexdigest()[:12]

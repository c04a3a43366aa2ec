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
from attribution.calibration.shares import ShareModel
from attribution.calibration.statistic import Scores, TooFewNeighbours, neighbourhood
from attribution.catalog import Catalog
from attribution.index import ChangeBatch, Index
from attribution.retrieval import Fusion
from models.background import Background

logger = logging.getLogger(__name__)
_TESTED = 0.1  # share of the background, strongest first, that is tested for being a copy
_FILTERS_KEPT = 32


class AlphaTooSmall(ValueError):
    """The background is too small to bear out so small an alpha."""

    def __init__(self, alpha: float, smallest: float) -> None:
        self.alpha, self.smallest = alpha, smallest
        super().__init__(
            f"alpha {alpha:g} is below {smallest:.2g}, the smallest p-value that this background "
            "can give: ask for a larger alpha or extend the background"
        )


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
        shares: how shares are divided.
    """

    def __init__(
        self,
        index: Index,
        fusion: Fusion,
        background: Background | None,
        catalog: Catalog,
        shares: ShareModel | None = None,
    ) -> None:
        self.shares = shares or ShareModel()
        self._index, self._fusion, self._background = index, fusion, background
        self._lock = threading.RLock()
        self._pending: list[ChangeBatch] = []
        self._neighbours: BackgroundNeighbours | None = None
        self._null: Null | None = None
        self._filtered: OrderedDict[frozenset[str], _Filtered] = OrderedDict()
        if background is not None:
            self._reference = fusion.scores(background.rows, fusion.reference)
            self._copies = CopyTest(background.thumbnails, thumbnails_of(catalog))
            self.id: str | None = _identify(background)
        else:
            self.id = None

    def state(self) -> CalibrationState:
        """Whether a decision can be made, and whether the null is that of the index right now.

        `missing` also where a background exists but the encoder has no reference images and the
        catalog is too small to standardise a score by.
        """
        if self._background is None:
            return CalibrationState(None, "missing")
        if self._neighbours is None:
            return CalibrationState(self.id, "building")
        null = self._null
        if null is None:
            return CalibrationState(self.id, "missing")
        fresh = null.generation >= self._index.generation
        return CalibrationState(self.id, "fresh" if fresh else "building")

    def build(self) -> None:
        """Score the whole background against the index; seconds for ten thousand sources."""
        if self._background is None:
            return
        neighbours = BackgroundNeighbours(self._index, self._fusion, self._background.rows)
        with self._lock:
            for batch in self._pending:
                if batch.generation > neighbours.generation:
                    neighbours.apply(batch)
            self._pending.clear()
            self._neighbours = neighbours
            self._null = self._statistics(neighbours)

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch of changes that the index has just applied."""
        if self._background is None:
            return
        with self._lock:
            if self._neighbours is None:
                self._pending.append(batch)
                return
            self._neighbours.apply(batch)
            self._null = self._statistics(self._neighbours)

    def null(self, collections: frozenset[str] | None = None) -> Null | None:
        """The null of a searched set; None where there is none (yet)."""
        if self._background is None or collections is None:
            return self._null
        with self._lock:
            kept = self._filtered.get(collections)
            if kept is None or kept.generation < self._index.generation:
                neighbours = BackgroundNeighbours(
                    self._index, self._fusion, self._background.rows, collections
                )
                kept = _Filtered(self._statistics(neighbours), neighbours.generation)
                self._filtered[collections] = kept
            self._filtered.move_to_end(collections)
            while len(self._filtered) > _FILTERS_KEPT:
                self._filtered.popitem(last=False)
            return kept.null

    def _statistics(self, neighbours: BackgroundNeighbours) -> Null | None:
        """Statistics of the background's best matches, copies of sources left out."""
        ids, scores = neighbours.hits.ids[:, 0], neighbours.hits.scores
        try:
            best = best_statistics(scores, self._reference)
        except TooFewNeighbours:
            return None
        tested = np.argsort(-best, kind="stable")[: max(1, round(_TESTED * len(best)))]
        dropped = [
            place
            for place in tested.tolist()
            if ids[place] >= 0 and self._copies(place, int(ids[place]))
        ]
        if dropped:
            logger.info("%d background images are copies of sources: left out", len(dropped))
        kept = np.sort(np.delete(best, dropped))
        return Null(kept, neighbours.generation)


def best_statistics(ranked: Scores, reference: Scores) -> Scores:
    """`(n,)` statistic of each row's best match; -inf where nothing was searched."""
    statistics: Scores = neighbourhood(ranked, reference).standardise(ranked[:, :1])[:, 0]
    return statistics


def _identify(background: Background) -> str:
    digest = hashlib.sha256(background.model_id.encode())
    digest.update(np.ascontiguousarray(background.rows).tobytes())
    return digest.hexdigest()[:12]

"""The nulls of searched sets: that of one set, following the catalog, and those of filters.

Knows no query.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.likeness import Likeness, features_of
from attribution.calibration.neighbours import BackgroundNeighbours, Found
from attribution.calibration.null import Null, null_of
from attribution.calibration.picture_copies import CopyTest, thumbnails_of
from attribution.calibration.reference import Reference
from attribution.calibration.statistic import Groups, Scores, TooFewNeighbours
from attribution.catalog import Catalog
from attribution.index import ChangeBatch, Index
from attribution.retrieval.fusion import Queries
from models.background import Background

logger = logging.getLogger(__name__)
_KEPT = 16  # filters whose neighbours are remembered
_PATIENCE = 0.5  # seconds until a change that the index has is noted here, which follows at once
_CHANGES_KEPT = 2_000  # changes of the catalog remembered, for filters that are behind


class ScoredBackground:
    """A background with all that does not depend on the searched set, computed once it is needed.

    Args:
        background: images without source.
        reference: the encoder's rule for scores, and what standardises them.
        catalog: where previews of sources are read from.
    """

    def __init__(self, background: Background, reference: Reference, catalog: Catalog) -> None:
        self.strata = background.strata
        self.reference = reference
        self._rows, self._thumbnails, self._catalog = (
            background.rows, background.thumbnails, catalog,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.strata)

    @cached_property
    def asked(self) -> Queries:
        """The rows as the encoder's rule prepares them."""
        return self.reference.fusion.prepare(self._rows)

    @cached_property
    def nearest_parts(self) -> Scores:
        """Of `Reference.nearest_scores`; seconds, so it is kept with the null."""
        return self.reference.nearest_scores(self.asked).parts

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """What tells whether a query is like these images; kept with the null."""
        return features_of(self.asked)

    @cached_property
    def likeness(self) -> Likeness | None:
        """How like these images a query is; None where that cannot be told."""
        return Likeness.of(self.features)

    def statistics(self, parts: Scores, groups: Groups) -> Scores:
        """Of every image's ranks in a searched set; see `Reference.deciding`.

        Raises:
            TooFewNeighbours: nothing to standardise by.
        """
        return self.reference.deciding(parts, groups, self.nearest_parts)

    def copy_test(self) -> CopyTest:
        """A new test for copies of sources."""
        return CopyTest(self._thumbnails, thumbnails_of(self._catalog))


@dataclass(frozen=True, slots=True, eq=False)
class KeptNull:
    """A null as it was settled once: what the background had found, and `(n,)` who were copies.

    `untested` are those of which that was not known, as their best match could not be had.
    """

    found: Found
    copies: NDArray[np.bool_]
    untested: NDArray[np.bool_]


class FollowedNull:
    """The null of one searched set at `generation`, and what keeps it up to date.

    Not to be shared by threads without a lock; the `null` it hands out never changes.

    Args:
        scored: the background.
        index: the searched index.
        collections: the searched set; None for all.
        kept: what to go on from; None to begin.

    Attributes:
        neighbours: the background's nearest sources.
        copies: the test that leaves out pictures of the searched set.
        null: as of the last `settle`.
    """

    def __init__(
        self,
        scored: ScoredBackground,
        index: Index,
        collections: frozenset[str] | None = None,
        *,
        kept: KeptNull | None = None,
    ) -> None:
        self._scored = scored
        self.copies = scored.copy_test()
        self.neighbours = BackgroundNeighbours(
            index, lambda: scored.asked, collections, found=None if kept is None else kept.found
        )
        if kept is not None:
            self.copies.resume(kept.found.hits.ids[:, 0], kept.copies, kept.untested)
        self.null: Null | None = None

    @property
    def generation(self) -> int:
        """The last change that the background's neighbours have seen."""
        return self.neighbours.generation

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch that the index has already applied; `settle` makes a null of it."""
        self.neighbours.apply(batch)

    def settle(self) -> None:
        """Make the null of the present neighbours, copies of sources left out.

        There is none where nothing standardises a score: no reference images, and too small a
        searched set.
        """
        scored, neighbours = self._scored, self.neighbours
        hits = neighbours.hits
        try:
            statistics = scored.statistics(neighbours.parts, neighbours.groups)
        except TooFewNeighbours:
            self.null = None
            return
        copies = self.copies(hits.ids[:, 0])
        if copies.any():
            logger.info("%d background images are copies of sources: left out", copies.sum())
        best = np.ascontiguousarray(statistics[:, 0])
        self.null = null_of(best, scored.strata, copies, self.generation)


class FilteredNulls:
    """The null of each filter that is asked for, made when it is first asked for.

    A filter that is asked for again takes in what has changed since; where too much has, it
    starts over. One is worked on at a time.

    Args:
        scored: the background.
        index: the searched index.
    """

    def __init__(self, scored: ScoredBackground, index: Index) -> None:
        self._scored, self._index = scored, index
        self._working = threading.Lock()
        self._kept: OrderedDict[frozenset[str], FollowedNull] = OrderedDict()
        self._log = _ChangeLog(index.generation)

    def note(self, batch: ChangeBatch) -> None:
        """Remember a batch that the index has applied; cheap."""
        self._log.append(batch)

    def null(self, collections: frozenset[str], wanted: int) -> Null | None:
        """The null of a filter at generation `wanted` or later."""
        with self._working:
            kept = self._kept.get(collections)
            if kept is None or not self._catch_up(kept, wanted):
                kept = FollowedNull(self._scored, self._index, collections)
                kept.settle()
                self._kept[collections] = kept
            self._kept.move_to_end(collections)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return kept.null

    def _catch_up(self, kept: FollowedNull, wanted: int) -> bool:
        """Take in what has changed since; False where that is not known any more."""
        if kept.generation >= wanted:
            return True
        missed = self._log.between(kept.generation, wanted)
        if missed is None:
            return False
        for batch in missed:
            kept.apply(batch)
        kept.settle()
        return True


class _ChangeLog:
    """The latest batches, oldest first."""

    def __init__(self, generation: int) -> None:
        self._noted = threading.Condition()
        self._before = self._last = generation  # everything between the two is here
        self._batches: deque[ChangeBatch] = deque()

    def append(self, batch: ChangeBatch) -> None:
        with self._noted:
            self._batches.append(batch)
            self._last = batch.generation
            held = sum(len(each.add_ids) + len(each.remove_ids) for each in self._batches)
            while self._batches and held > _CHANGES_KEPT:
                oldest = self._batches.popleft()
                held -= len(oldest.add_ids) + len(oldest.remove_ids)
                self._before = oldest.generation
            self._noted.notify_all()

    def between(self, generation: int, wanted: int) -> list[ChangeBatch] | None:
        """Batches after a generation, up to `wanted` at least; None where some are not here."""
        with self._noted:
            if not self._noted.wait_for(lambda: self._last >= wanted, timeout=_PATIENCE):
                return None
            if generation < self._before:
                return None
            return [batch for batch in self._batches if batch.generation > generation]

"""The null of one searched set, following the changes of the catalog. Knows no query."""

from __future__ import annotations

import logging

import numpy as np

from attribution.calibration.neighbours import BackgroundNeighbours
from attribution.calibration.null import Null, null_of
from attribution.calibration.picture_copies import CopyTest, thumbnails_of
from attribution.calibration.reference import Reference
from attribution.calibration.statistic import Groups, Scores, TooFewNeighbours
from attribution.catalog import Catalog
from attribution.index import ChangeBatch, Index
from models.background import Background

logger = logging.getLogger(__name__)


class ScoredBackground:
    """A background with all that does not depend on the searched set, computed once.

    Args:
        background: images without source.
        reference: the encoder's rule for scores, and what standardises them.
        catalog: where previews of sources are read from.
    """

    def __init__(self, background: Background, reference: Reference, catalog: Catalog) -> None:
        self.strata = background.strata
        self.asked = reference.fusion.prepare(background.rows)
        self._reference, self._nearest = reference, reference.nearest_scores(self.asked)
        self._thumbnails, self._catalog = background.thumbnails, catalog

    def statistics(self, ranked: Scores, groups: Groups) -> Scores:
        """`(n, k)` of every image's ranks in a searched set.

        Raises:
            TooFewNeighbours: nothing to standardise by.
        """
        return self._reference.statistics(ranked, groups, self._nearest)

    def copy_test(self) -> CopyTest:
        """A new test for copies of sources."""
        return CopyTest(self._thumbnails, thumbnails_of(self._catalog))


class FollowedNull:
    """The null of one searched set at `generation`, and what keeps it up to date.

    Not to be shared by threads without a lock; the `null` it hands out never changes.

    Args:
        scored: the background.
        index: the searched index.
        collections: the searched set; None for all.
    """

    def __init__(
        self, scored: ScoredBackground, index: Index, collections: frozenset[str] | None = None
    ) -> None:
        self._scored = scored
        self._copies = scored.copy_test()
        self._neighbours = BackgroundNeighbours(index, scored.asked, collections)
        self.null: Null | None = None

    @property
    def generation(self) -> int:
        """The last change that the background's neighbours have seen."""
        return self._neighbours.generation

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch that the index has already applied; `settle` makes a null of it."""
        self._neighbours.apply(batch)

    def settle(self) -> Null | None:
        """The null of the present neighbours, copies of sources left out.

        None where there is nothing to standardise a score by: no reference images, and too small
        a searched set.
        """
        hits, scored = self._neighbours.hits, self._scored
        try:
            statistics = scored.statistics(hits.scores, self._neighbours.groups)
        except TooFewNeighbours:
            self.null = None
            return None
        copies = self._copies(hits.ids[:, 0])
        if copies.any():
            logger.info("%d background images are copies of sources: left out", copies.sum())
        best = np.ascontiguousarray(statistics[:, 0])
        self.null = null_of(best, scored.strata, copies, self.generation)
        return self.null

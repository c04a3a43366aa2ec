"""Images outside any gallery, which stand in for what a small one lacks. Knows no null."""

from __future__ import annotations

import numpy as np

from attribution.calibration.statistic import (
    Groups,
    Scores,
    nearest,
    statistics_of,
    typical_deviation,
)
from attribution.retrieval.fusion import Fusion, Queries


class Reference:
    """The reference rows of an encoder, as its rule scores them.

    Args:
        fusion: the rule, with the rows.

    Attributes:
        fusion: as given.
        typical: deviation that every query's own is softened by; see `statistics_of`.
    """

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion
        queries = np.tile(fusion.reference_queries, (1, fusion.views))  # of one view, seen twice
        self.typical = typical_deviation(fusion.scores(queries, fusion.reference))

    def nearest_scores(self, asked: Queries) -> Scores:
        """The largest scores that each query has with a reference row, for `statistics`."""
        return nearest(asked.scores(self.fusion.reference))

    def statistics(self, ranked: Scores, groups: Groups, reference: Scores) -> Scores:
        """`statistics_of` with this encoder's constant.

        Raises:
            TooFewNeighbours: nothing to standardise by.
        """
        return statistics_of(ranked, groups, reference, typical=self.typical)

"""Images outside any gallery, which stand in for what a small one lacks. Knows no null."""

from __future__ import annotations

from functools import cached_property

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
    """

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion

    @cached_property
    def typical(self) -> float:
        """Deviation that every query's own is softened by; see `statistics_of`.

        Half a second for a thousand reference rows, so it is kept with the null.
        """
        queries = np.tile(self.fusion.reference_queries, (1, self.fusion.views))  # one view, twice
        return typical_deviation(self.fusion.scores(queries, self.fusion.reference))

    def nearest_scores(self, asked: Queries) -> Scores:
        """The largest scores that each query has with a reference row, for `statistics`."""
        return nearest(asked.scores(self.fusion.reference))

    def statistics(self, ranked: Scores, groups: Groups, reference: Scores) -> Scores:
        """`statistics_of` with this encoder's constant.

        Raises:
            TooFewNeighbours: nothing to standardise by.
        """
        return statistics_of(ranked, groups, reference, typical=self.typical)

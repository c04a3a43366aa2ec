"""Images outside any gallery, which stand in for what a small one lacks. Knows no null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.by_parts import Tail, beside_statistics, joined_statistics
from attribution.calibration.statistic import (
    Groups,
    Scores,
    nearest,
    statistics_of,
    typical_deviation,
)
from attribution.retrieval.fusion import Fusion, Queries

_BLOCK = 256  # queries compared with all reference rows at once


@dataclass(frozen=True, slots=True, eq=False)
class NearestReference:
    """The largest scores that queries have with a reference row, as many as a statistic reads.

    Attributes:
        joined: `(n, m)`.
        parts: `(n, parts, m)`, each part's own largest.
    """

    joined: Scores
    parts: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Typical:
    """What reference images have among each other, fixed by the encoder.

    Attributes:
        deviation: of joined scores; see `statistics_of`.
        tails: of each part.
    """

    deviation: float
    tails: tuple[Tail, ...]

    def arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """It as arrays, to be kept or sent."""
        return {
            "typical": np.array([self.deviation, *(tail.typical for tail in self.tails)]),
            "tails": np.array([tail.best for tail in self.tails]),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Typical:
        """What `arrays` made."""
        deviation, *of_parts = arrays["typical"].tolist()
        return cls(deviation, tuple(map(Tail, of_parts, arrays["tails"])))


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """`(n, k)` of ranked sources, -inf where a score is missing.

    Attributes:
        deciding: what p-values are of; see `joined_statistics`.
        joined: the joined score, standardised; what shares are of.
    """

    deciding: Scores
    joined: Scores


class Reference:
    """The reference rows of an encoder, as its rule scores them.

    Args:
        fusion: the rule, with the rows.
    """

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion

    @cached_property
    def typical(self) -> Typical:
        """Half a second for a thousand reference rows, so it is kept with the null."""
        queries = np.tile(self.fusion.reference_queries, (1, self.fusion.views))  # one view, twice
        asked = self.fusion.prepare(queries)
        joined, parts = asked.scores_by_part(self.fusion.reference)
        return Typical(
            typical_deviation(joined),
            tuple(Tail.of(parts[:, place]) for place in range(parts.shape[1])),
        )

    def nearest_scores(self, asked: Queries) -> NearestReference:
        """The largest scores that each query has with a reference row, for `statistics`."""
        joined, parts = [], []
        for start in range(0, max(1, len(asked)), _BLOCK):
            some = asked.take(slice(start, start + _BLOCK))
            scores, by_part = some.scores_by_part(self.fusion.reference)
            joined.append(nearest(scores))
            parts.append(nearest(by_part))
        return NearestReference(np.concatenate(joined), np.concatenate(parts))

    def statistics(
        self, ranked: Scores, parts: Scores, groups: Groups, nearest_reference: NearestReference
    ) -> Statistics:
        """Both statistics of ranked sources, with this encoder's constants.

        Args:
            ranked: `(n, k)` joined scores, descending.
            parts: `(n, k, parts)` of the same.
            groups: see `statistics_of`.
            nearest_reference: of the same queries.

        Raises:
            TooFewNeighbours: nothing to standardise by.
        """
        deviation = self.typical.deviation
        return Statistics(
            self.deciding(parts, groups, nearest_reference.parts),
            statistics_of(ranked, groups, nearest_reference.joined, typical=deviation),
        )

    def deciding(self, parts: Scores, groups: Groups, nearest_parts: Scores) -> Scores:
        """`joined_statistics` with this encoder's constants: all that a null is made of.

        Raises:
            TooFewNeighbours: nothing to standardise by.
        """
        return joined_statistics(parts, groups, nearest_parts, self.typical.tails)

    def beside(
        self, parts: Scores, groups: Groups, nearest_parts: Scores, explained: Scores
    ) -> Scores:
        """`beside_statistics` with this encoder's constants."""
        return beside_statistics(parts, groups, nearest_parts, self.typical.tails, explained)

"""The statistic that a decision rests on: each part by its own neighbourhood, then joined.

A source whose layout stands out and whose colours do not would be held against neighbours that
have its score by something else. So each part is standardised among its own neighbours, turned
into a tail score by what images outside any gallery reach, and only then joined. Knows scores, no
rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.statistic import (
    DEPTH,
    Groups,
    Scores,
    nearest_others,
    neighbourhood,
    softened,
    typical_deviation,
)

STATISTIC = "parts2"
"""Names this rule in `calibration.id`; another rule has another name."""
_UPPER = 0.8  # quantile from which the tail is taken to be exponential
_SMALLEST_EXCESS = 1e-6


@dataclass(frozen=True, eq=False)
class Tail:
    """How high images outside any gallery stand in one part, among each other.

    Attributes:
        typical: deviation that a query's own is softened by; see `statistics_of`.
        best: `(m,)` ascending, the statistics of their best matches; empty where too few images
            are known to tell.
    """

    typical: float
    best: NDArray[np.float64]

    @classmethod
    def of(cls, among: Scores) -> Self:
        """Of `(m, m)` scores of such images among each other; the diagonal is not looked at."""
        typical, found = typical_deviation(among), nearest_others(among)
        below = found[:, 2:]
        softened = np.maximum(below.std(axis=1) + typical, _SMALLEST_EXCESS)
        return cls(typical, np.sort((found[:, 0] - below.mean(axis=1)) / softened))

    def scores(self, statistics: Scores) -> NDArray[np.float64]:
        r"""Minus the logarithm of how many of those images stand as high.

        .. math:: e(u) = -\log P(U > u)

        Up to the `_UPPER` quantile :math:`u_q` by the images themselves, the m-th of them at
        :math:`1 - (m - \frac12)/M`, with straight lines between; above it by an exponential tail
        with their mean excess (the peaks-over-threshold method; Pickands, Annals of Statistics
        1975, of shape 0). Where too few are known, the statistic as it is.

        Args:
            statistics: of any shape.
        """
        u = statistics.astype(np.float64)
        if not len(self.best):
            return u
        upper, excess = self._exponential
        within = -np.log(np.interp(u, self.best, self._left))
        at_upper = -np.log(1 - _UPPER)
        tail = np.where(u > upper, at_upper + (u - upper) / excess, np.minimum(within, at_upper))
        return np.asarray(tail)

    @cached_property
    def _left(self) -> NDArray[np.float64]:
        """The share of those images that stand above each of them."""
        m = len(self.best)
        return np.asarray(1 - (np.arange(m) + 0.5) / m)

    @cached_property
    def _exponential(self) -> tuple[float, float]:
        """From where the tail is exponential, and its mean excess."""
        upper = float(np.quantile(self.best, _UPPER))
        beyond = self.best[self.best > upper]
        return upper, max(float(beyond.mean()) - upper if len(beyond) else 0.0, _SMALLEST_EXCESS)


def joined_statistics(
    parts: Scores, groups: Groups, reference: Scores, tails: Sequence[Tail]
) -> Scores:
    r"""The statistic of every ranked source.

    .. math:: T_j = \min_{i \le j} \sum_p e_p(u_{pi})

    with :math:`u_{pi}` the score of the source at rank i in part p, standardised as in
    `statistics_of`, among the part's own scores of the best `DEPTH` and of reference images. The
    sum is Fisher's combination ("Statistical Methods for Research Workers", 1932) of tail
    probabilities; parts depend on each other, so it has no known distribution and needs none:
    the background has the same statistic. A source ranked below another never has the larger
    one, so that a null of first ranks bounds the chance of naming any.

    Args:
        parts: `(n, k, parts)` of the searched set, best source first, -inf where there are fewer
            or a source is gone.
        groups: as for `statistics_of`.
        reference: `(n, parts, m)`, as for `statistics_of`.
        tails: of each part.

    Returns:
        `(n, k)`; -inf where a score is missing.

    Raises:
        TooFewNeighbours: nothing to standardise by.
    """
    missing = ~np.isfinite(parts).all(axis=2)
    scores = np.where(missing, np.inf, _joined(parts, groups, reference, tails))
    return np.where(missing, -np.inf, np.minimum.accumulate(scores, axis=1)).astype(np.float32)


def beside_statistics(
    parts: Scores, groups: Groups, reference: Scores, tails: Sequence[Tail], explained: Scores
) -> Scores:
    r"""What a source shows beyond what the sources ranked above it let one expect.

    .. math:: \sum_p e_p\big(u_{pj} - \max(0, u'_{pj})\big)

    with :math:`u'_{pj}` the expected score, standardised as :math:`u_{pj}` is: where it is more
    than the mean of the neighbourhood, it takes the mean's place. Never more than the same
    without it.

    Args:
        parts: as for `joined_statistics`.
        groups: likewise.
        reference: likewise.
        tails: likewise.
        explained: `(n, k, parts)` expected scores, -inf where nothing says anything.

    Returns:
        `(n, k)`; -inf where a score is missing.
    """
    missing = ~np.isfinite(parts).all(axis=2)
    scores = _joined(parts, groups, reference, tails, explained)
    return np.where(missing, -np.inf, scores).astype(np.float32)


def _joined(
    parts: Scores,
    groups: Groups,
    reference: Scores,
    tails: Sequence[Tail],
    explained: Scores | None = None,
) -> NDArray[np.float64]:
    scores = np.zeros(parts.shape[:2])
    for place, tail in enumerate(tails):
        of_part = parts[:, :, place]
        mean, deviation = neighbourhood(of_part[:, :DEPTH], groups, reference[:, place])
        expected = mean[:, None]
        if explained is not None:
            expected = np.maximum(explained[:, :, place], expected)
        own = (of_part - expected) / softened(deviation, tail.typical)[:, None]
        scores += tail.scores(own.astype(np.float32))
    return scores

"""The statistic that a decision rests on: a score standardised by the query's own neighbourhood.

Raw scores of photographs and of generated images are not exchangeable; how far the best match
stands above the query's next ones nearly is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
NEIGHBOURS = 49  # ranks 2 to 50
DEPTH = 64  # ranks that are looked at, of a query and of the background alike
FEWEST_NEIGHBOURS = 8
SAME_SCORE = 1e-3  # scores this close to the best are the same picture held more than once
_SMALLEST_DEVIATION = 1e-6


class TooFewNeighbours(ValueError):
    """Nothing to standardise a score by: no reference images, and a small searched set."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """Mean and deviation of the scores just below a query's best, `(n,)` each."""

    mean: Scores
    deviation: Scores

    def standardise(self, scores: Scores) -> Scores:
        """`(n, k)` scores to statistics; missing ones (-inf) stay -inf."""
        result: Scores = (scores - self.mean[:, None]) / self.deviation[:, None]
        return result


def neighbourhood(ranked: Scores, reference: Scores) -> Neighbourhood:
    """The `NEIGHBOURS` largest scores below the best, those of reference images among them.

    Scores within `SAME_SCORE` of the best are left out: one picture held in several collections
    would else count as its own neighbourhood and could never stand above it. The reference takes
    the place of neighbours that a small gallery lacks, so the statistic means the same with one
    source and with a million.

    Args:
        ranked: `(n, k)` scores of the searched set, descending, -inf where there are fewer; ranks
            beyond `DEPTH` are not looked at.
        reference: `(n, m)` scores of images outside any gallery, in any order; the largest
            `NEIGHBOURS` of each row suffice.

    Raises:
        TooFewNeighbours: fewer than `FEWEST_NEIGHBOURS` scores to standardise by.
    """
    below = ranked[:, 1:DEPTH]
    distinct = np.where(below >= ranked[:, :1] - SAME_SCORE, -np.inf, below)
    pool = np.concatenate([distinct, reference], axis=1)
    chosen = nearest(pool)
    present = np.isfinite(chosen)
    if present.sum(axis=1).min(initial=NEIGHBOURS) < FEWEST_NEIGHBOURS:
        raise TooFewNeighbours(
            f"a score is standardised by at least {FEWEST_NEIGHBOURS} others: the encoder has no "
            "reference images and the searched set is too small"
        )
    values = np.where(present, chosen, np.nan).astype(np.float64)
    deviation = np.maximum(np.nanstd(values, axis=1), _SMALLEST_DEVIATION)
    return Neighbourhood(
        np.nanmean(values, axis=1).astype(np.float32), deviation.astype(np.float32)
    )


def nearest(scores: Scores) -> Scores:
    """The `NEIGHBOURS` largest scores of each row, in any order; all where there are fewer."""
    if scores.shape[1] <= NEIGHBOURS:
        return scores
    return -np.partition(-scores, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]

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
FEWEST_NEIGHBOURS = 8
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
    """The `NEIGHBOURS` largest scores among ranks 2 and below and the reference images.

    The reference takes the place of neighbours that a small gallery lacks, so the statistic
    means the same with one source and with a million.

    Args:
        ranked: `(n, k)` scores of the searched set, descending, -inf where there are fewer.
        reference: `(n, m)` scores of images outside any gallery, in any order.

    Raises:
        TooFewNeighbours: fewer than `FEWEST_NEIGHBOURS` scores to standardise by.
    """
    pool = np.concatenate([ranked[:, 1 : NEIGHBOURS + 1], reference], axis=1)
    count = min(NEIGHBOURS, pool.shape[1])
    nearest = -np.partition(-pool, count - 1, axis=1)[:, :count] if count else pool
    present = np.isfinite(nearest)
    if count == 0 or present.sum(axis=1).min(initial=count) < FEWEST_NEIGHBOURS:
        raise TooFewNeighbours(
            f"a score is standardised by at least {FEWEST_NEIGHBOURS} others: the encoder has no "
            "reference images and the searched set is too small"
        )
    values = np.where(present, nearest, np.nan).astype(np.float64)
    deviation = np.maximum(np.nanstd(values, axis=1), _SMALLEST_DEVIATION)
    return Neighbourhood(
        np.nanmean(values, axis=1).astype(np.float32), deviation.astype(np.float32)
    )

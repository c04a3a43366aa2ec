"""The statistic that a decision rests on: a score standardised by the query's own neighbourhood.

Raw scores of photographs and of generated images are not exchangeable; how far the best match
stands above the query's next ones nearly is. The same function is applied to queries and to the
background, from the same figures, or p-values would mean nothing. Knows scores, no rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Groups = NDArray[np.uint8]
NEIGHBOURS = 49  # ranks 2 to 50
DEPTH = 64  # ranks that are looked at, of a query and of the background alike
FEWEST_NEIGHBOURS = 8
_SMALLEST_DEVIATION = 1e-6


class TooFewNeighbours(ValueError):
    """Nothing to standardise a score by: no reference images, and a small searched set."""


def statistics_of(ranked: Scores, groups: Groups, reference: Scores) -> Scores:
    """Every rank's score, standardised by the scores just below the query's best.

    Mean and deviation are those of the `NEIGHBOURS` largest scores that are not of the best
    one's group, scores of reference images among them. One picture held several times would else
    be its own neighbourhood and could never stand above it. The reference takes the place of
    neighbours that a small gallery lacks, so the statistic means the same with one source and
    with a million.

    Args:
        ranked: `(n, k)` scores of the searched set, descending, -inf where there are fewer; ranks
            beyond `DEPTH` are standardised, but are nobody's neighbours.
        groups: `(n, min(k, DEPTH))` of each rank, the place of the first rank that shows the same
            picture; its own place where none before it does.
        reference: `(n, m)` scores of images outside any gallery, in any order; the largest
            `NEIGHBOURS` of each row suffice.

    Returns:
        `(n, k)`; -inf where a score is missing.

    Raises:
        TooFewNeighbours: fewer than `FEWEST_NEIGHBOURS` scores to standardise by.
    """
    below = np.where(groups == 0, -np.inf, ranked[:, :DEPTH]).astype(np.float32)
    chosen = nearest(np.concatenate([below, reference], axis=1))
    present = np.isfinite(chosen)
    if present.sum(axis=1).min(initial=NEIGHBOURS) < FEWEST_NEIGHBOURS:
        raise TooFewNeighbours(
            f"a score is standardised by at least {FEWEST_NEIGHBOURS} others: the encoder has no "
            "reference images and the searched set is too small"
        )
    values = np.where(present, chosen, np.nan).astype(np.float64)
    deviation = np.maximum(np.nanstd(values, axis=1), _SMALLEST_DEVIATION)
    standardised: Scores = (ranked - np.nanmean(values, axis=1)[:, None]) / deviation[:, None]
    return standardised.astype(np.float32)


def nearest(scores: Scores) -> Scores:
    """The `NEIGHBOURS` largest scores of each row, in descending order; all if there are fewer."""
    if scores.shape[1] > NEIGHBOURS:
        scores = -np.partition(-scores, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    return -np.sort(-scores, axis=1)

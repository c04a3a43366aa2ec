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
NEIGHBOURS = 48  # ranks 3 to 50
DEPTH = 64  # ranks that are looked at, of a query and of the background alike
FEWEST_NEIGHBOURS = 8
_SMALLEST_DEVIATION = 1e-6


class TooFewNeighbours(ValueError):
    """Nothing to standardise a score by: no reference images, and a small searched set."""


def statistics_of(
    ranked: Scores, groups: Groups, reference: Scores, *, typical: float = 0.0
) -> Scores:
    r"""Every rank's score, standardised by the scores below the query's two best.

    .. math:: t_j = \frac{s_j - \bar s}{\sigma + \sigma_0}

    with mean :math:`\bar s` and deviation :math:`\sigma` of the `NEIGHBOURS` scores from the third
    best picture on, scores of reference images among them. The second best is spared because a
    query may have two sources, which would hide each other. All doubles of the two are left out
    too: one picture held several times could else never stand above its own neighbourhood. The
    reference takes the place of neighbours that a small gallery lacks, so the statistic means the
    same with one source and with a million.

    The constant :math:`\sigma_0` is the fudge factor of Tusher, Tibshirani and Chu, "Significance
    analysis of microarrays", PNAS 2001: without it the largest statistics are those of queries
    whose deviation happens to be small. It is fixed by the encoder, see `typical_deviation`.

    Args:
        ranked: `(n, k)` scores of the searched set, descending, -inf where there are fewer; ranks
            beyond `DEPTH` are standardised, but are nobody's neighbours.
        groups: `(n, min(k, DEPTH))` of each rank, the place of the first rank that shows the same
            picture; its own place where none before it does.
        reference: `(n, m)` scores of images outside any gallery, in any order; the largest
            `NEIGHBOURS + 1` of each row suffice.
        typical: :math:`\sigma_0`.

    Returns:
        `(n, k)`; -inf where a score is missing.

    Raises:
        TooFewNeighbours: fewer than `FEWEST_NEIGHBOURS` scores to standardise by.
    """
    doubles = groups == 0
    second = np.argmax(~doubles, axis=1)[:, None]  # place of the second picture; 0 if there is none
    doubles |= (groups == second) & (np.arange(groups.shape[1]) != second)
    below = np.where(doubles, -np.inf, ranked[:, :DEPTH]).astype(np.float32)
    chosen = nearest(np.concatenate([below, reference], axis=1))[:, 1:]
    present = np.isfinite(chosen)
    if present.sum(axis=1).min(initial=NEIGHBOURS) < FEWEST_NEIGHBOURS:
        raise TooFewNeighbours(
            f"a score is standardised by at least {FEWEST_NEIGHBOURS} others: the encoder has no "
            "reference images and the searched set is too small"
        )
    values = np.where(present, chosen, np.nan).astype(np.float64)
    deviation = np.maximum(np.nanstd(values, axis=1) + typical, _SMALLEST_DEVIATION)
    standardised: Scores = (ranked - np.nanmean(values, axis=1)[:, None]) / deviation[:, None]
    return standardised.astype(np.float32)


def nearest(scores: Scores) -> Scores:
    """The `NEIGHBOURS + 1` largest scores of each row, descending; all if there are fewer."""
    kept = NEIGHBOURS + 1
    if scores.shape[1] > kept:
        scores = -np.partition(-scores, kept - 1, axis=1)[:, :kept]
    return -np.sort(-scores, axis=1)


def typical_deviation(scores: Scores) -> float:
    """Median over images outside any gallery of the deviation of their own neighbourhood.

    Args:
        scores: `(m, m)` of such images among each other; the diagonal is not looked at.

    Returns:
        In units of scores; 0 where there are too few images to tell.
    """
    if len(scores) < NEIGHBOURS:
        return 0.0
    others = scores.copy()
    np.fill_diagonal(others, -np.inf)
    neighbourhoods = nearest(others)[:, 2 : NEIGHBOURS + 1].astype(np.float64)
    neighbourhoods = neighbourhoods[np.isfinite(neighbourhoods).all(axis=1)]
    return float(np.median(neighbourhoods.std(axis=1))) if len(neighbourhoods) else 0.0

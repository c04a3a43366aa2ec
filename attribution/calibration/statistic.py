"""How far a score stands out of the query's own neighbourhood. Knows scores, no rows.

Raw scores of photographs and of generated images are not exchangeable; how far the best match
stands above the query's next ones nearly is. The same function is applied to queries and to the
background, from the same figures, or p-values would mean nothing. Decisions rest on the parts
standardised one by one (`by_parts`), shares on the joined score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Groups = NDArray[np.uint8]
NEIGHBOURS = 48  # ranks 3 to 50
DEPTH = 100  # ranks that are looked at, of a query and of the background alike
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
    query may have two sources, which would hide each other. A picture counts once, by the first
    rank that shows it: held several times it could else never stand above its own neighbourhood,
    or would be most of another's. The reference takes the place of neighbours that a small gallery
    lacks, so the statistic means the same with one source and with a million.

    The constant :math:`\sigma_0` is the fudge factor of Tusher, Tibshirani and Chu, "Significance
    analysis of microarrays", PNAS 2001: without it the largest statistics are those of queries
    whose deviation happens to be small. It is fixed by the encoder, see `typical_deviation`.

    Args:
        ranked: `(n, k)` scores of the searched set in any order, -inf where there are fewer; those
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
    mean, deviation = neighbourhood(ranked[:, :DEPTH], groups, reference)
    standardised = (ranked - mean[:, None]) / softened(deviation, typical)[:, None]
    return np.asarray(standardised, np.float32)


def softened(deviation: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    """A query's own deviation and the typical one, by which its scores are divided."""
    return np.maximum(deviation + typical, _SMALLEST_DEVIATION)


def neighbourhood(
    scores: Scores, groups: Groups, reference: Scores
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation, `(n,)` each, of the scores below the two best pictures.

    Args:
        scores: `(n, d)` of the searched set in any order, -inf where there are fewer.
        groups: `(n, d)`; equal ones are one picture.
        reference: as for `statistics_of`.

    Raises:
        TooFewNeighbours: fewer than `FEWEST_NEIGHBOURS` scores to standardise by.
    """
    below = np.where(groups == np.arange(groups.shape[1]), scores, -np.inf).astype(np.float32)
    if below.shape[1]:
        np.put_along_axis(below, below.argmax(axis=1)[:, None], -np.inf, axis=1)
    chosen = nearest(np.concatenate([below, reference], axis=1))[:, 1:]
    present = np.isfinite(chosen)
    found = present.sum(axis=1)
    if found.min(initial=NEIGHBOURS) < FEWEST_NEIGHBOURS:
        raise TooFewNeighbours(
            f"a score is standardised by at least {FEWEST_NEIGHBOURS} others: the encoder has no "
            "reference images and the searched set is too small"
        )
    values = np.where(present, chosen, 0).astype(np.float64)
    mean = values.sum(axis=1) / found
    apart = np.where(present, values - mean[:, None], 0)
    return mean, np.sqrt(np.einsum("nm,nm->n", apart, apart) / found)


def nearest(scores: Scores) -> Scores:
    """The `NEIGHBOURS + 1` largest scores of each row, descending; all if there are fewer."""
    kept = NEIGHBOURS + 1
    if scores.shape[-1] > kept:
        scores = -np.partition(-scores, kept - 1, axis=-1)[..., :kept]
    return -np.sort(-scores, axis=-1)


def typical_deviation(among: Scores) -> float:
    """Median over images outside any gallery of the deviation of their own neighbourhood.

    Args:
        among: `(m, m)` scores of such images among each other; the diagonal is not looked at.

    Returns:
        In units of scores; 0 where there are too few images to tell.
    """
    found = nearest_others(among)
    return float(np.median(found[:, 2:].std(axis=1))) if len(found) else 0.0


def nearest_others(among: Scores) -> NDArray[np.float64]:
    """`nearest` of images outside any gallery among each other, of those that have so many.

    Args:
        among: `(m, m)`; the diagonal is not looked at.

    Returns:
        `(m', NEIGHBOURS + 1)`; none where there are fewer than `NEIGHBOURS + 2` images.
    """
    if len(among) < NEIGHBOURS:
        return np.empty((0, NEIGHBOURS + 1))
    others = among.copy()
    np.fill_diagonal(others, -np.inf)
    found = nearest(others).astype(np.float64)
    return np.asarray(found[np.isfinite(found).all(axis=1)])

"""Retrieval measures of one query from the ranks of its true sources. Knows no images.

Ranks count from 1 over the gallery in which the query was ranked; a query has one rank for each of
its true sources. Everything here is a function of ranks, so that a new measure needs no new run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ranks = Sequence[int]
RECALL_GRID = np.linspace(0.0, 1.0, 101)
"""Recall levels at which precision-recall curves are read."""


def truth_ranks(scores: NDArray[np.float32], truths: Sequence[int]) -> tuple[int, ...]:
    """Ranks of some columns among all, the largest score first, equal scores by column.

    That is their place in a stable sort of `-scores`, without sorting.

    Args:
        scores: `(m,)`; minus infinity marks what is not in the gallery of this query.
        truths: columns of the true sources.
    """
    ranks = []
    for column in truths:
        score = scores[column]
        above = np.count_nonzero(scores > score)
        equal_before = np.count_nonzero(scores[:column] == score)
        ranks.append(1 + int(above) + int(equal_before))
    return tuple(ranks)


def best_columns(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """The columns of the k largest finite scores, best first, equal scores by column."""
    k = min(k, int(np.isfinite(scores).sum()))
    if k == 0:
        return np.empty(0, np.intp)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= threshold)
    return candidates[np.argsort(-scores[candidates], kind="stable")[:k]]


def hit_at(ranks: Ranks, k: int) -> float:
    """1 if any true source is among the first k, else 0."""
    return float(min(ranks) <= k)


def recall_at(ranks: Ranks, k: int) -> float:
    """Share of the true sources that are among the first k."""
    return sum(rank <= k for rank in ranks) / len(ranks)


def recall_ceiling(truths: int, k: int) -> float:
    """The largest `recall_at` that a query with so many true sources can have: min(k, n) / n."""
    return min(k, truths) / truths


def average_precision(ranks: Ranks, cut: int | None = None) -> float:
    r"""Average precision over all true sources.

    .. math:: \mathrm{AP} = \frac{1}{n} \sum_{k=1}^{n} \frac{k}{r_k}, \qquad r_1 < \dots < r_n

    where sources ranked beyond `cut` add nothing and still count in n.
    """
    found = sorted(rank for rank in ranks if cut is None or rank <= cut)
    return sum(place / rank for place, rank in enumerate(found, start=1)) / len(ranks)


def average_precision_ceiling(truths: int, cut: int | None = None) -> float:
    """The largest `average_precision`: below 1 only where there are more sources than the cut."""
    return 1.0 if cut is None else min(cut, truths) / truths


def interpolated_precision(ranks: Ranks) -> NDArray[np.float64]:
    """The largest precision at or beyond each recall level of `RECALL_GRID`.

    The usual interpolation: precision at recall r is the best one that any longer list of at
    least that recall has, so that the curve falls.
    """
    ordered = np.sort(np.asarray(ranks, dtype=np.float64))
    places = np.arange(1, len(ordered) + 1)
    best_beyond = np.maximum.accumulate((places / ordered)[::-1])[::-1]
    # How many sources a level needs; the small term keeps 0.1 * 10 from asking for an eleventh.
    needed = np.ceil(RECALL_GRID * len(ordered) - 1e-9).astype(int).clip(min=1)
    curve: NDArray[np.float64] = best_beyond[needed - 1]
    return curve


def precision_recall(queries: Sequence[Ranks]) -> NDArray[np.float64]:
    """`(101,)` interpolated precision at `RECALL_GRID`, averaged over queries."""
    if not queries:
        raise ValueError("a curve needs at least one query")
    curves = np.stack([interpolated_precision(ranks) for ranks in queries])
    mean: NDArray[np.float64] = curves.mean(axis=0)
    return mean


def recall_curve(queries: Sequence[Ranks], depths: Sequence[int]) -> NDArray[np.float64]:
    """Recall at each depth, averaged over queries."""
    return np.array([np.mean([recall_at(ranks, k) for ranks in queries]) for k in depths])

"""Exact inner products over rows in memory: who may be among the k best, their scores, the ranking.

Pure functions over arrays; they must not know where rows live or which of them a structure found.

Scores come from `exact_scores` alone, one row at a time in a fixed order of summation. So the same
row has bitwise the same score wherever it lies (base or tail), in whatever batch it is asked, and
equal scores are ties in truth, not by the luck of a matrix product's blocking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.index.protocol import Hits, Ids, Mask, Vectors

# Rows a matrix product takes at once: bounds the memory of a scan to n queries x this many floats.
BLOCK = 8192
# Products re-scored at once, in floats gathered: 16 million are 64 MB.
GATHERED = 16_000_000
# How far a matrix product may stray from `exact_scores` on unit rows: both err by less than
# d * 2**-24 in the worst case, in practice by about 1e-7. Rows this close to the k-th are kept.
MARGIN = np.float32(1e-5)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of a query and a row that may be among its best, in no order.

    Attributes:
        query: (m,) int64 row of the query.
        position: (m,) int64 row of the scanned matrix.
    """

    query: Ids
    position: Ids


def scan(queries: Vectors, rows: Vectors, mask: Mask | None, k: int) -> Candidates:
    """Every row that may be among the k best of a query, ties of the k-th included.

    Args:
        queries: (n, d) float32.
        rows: (m, d) float32, each of unit length.
        mask: (m,) rows that count; None is all.
        k: how many are wanted, at least 1.
    """
    floor = np.full(len(queries), -np.inf, np.float32)
    kept: list[tuple[Ids, Ids, NDArray[np.float32]]] = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        positions = np.arange(start, start + len(block))
        if mask is not None and not mask[positions].all():
            positions = positions[mask[positions]]
            block = rows[positions]
        if not len(positions):
            continue
        scores = queries @ block.T
        if len(positions) > k:  # the k-th of any block is a lower bound of the k-th of all
            cut = len(positions) - k
            floor = np.maximum(floor, np.partition(scores, cut, axis=1)[:, cut])
        query, column = np.nonzero(scores >= (floor - MARGIN)[:, None])
        kept.append((query, positions[column], scores[query, column]))
    if not kept:
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64))
    query, position, score = (np.concatenate(column) for column in zip(*kept, strict=True))
    near = score >= floor[query] - MARGIN
    return Candidates(query[near], position[near])


def exact_scores(queries: Vectors, rows: Vectors, candidates: Candidates) -> NDArray[np.float32]:
    """(m,) float32 inner products of the candidate pairs."""
    scores = np.empty(len(candidates.query), np.float32)
    step = max(1, GATHERED // max(1, queries.shape[1]))
    for start in range(0, len(scores), step):
        pairs = slice(start, start + step)
        left, right = queries[candidates.query[pairs]], rows[candidates.position[pairs]]
        scores[pairs] = np.einsum("ij,ij->i", left, right)
    return scores


def rank(n: int, k: int, query: Ids, ids: Ids, scores: NDArray[np.float32]) -> Hits:
    """The k best pairs of each of n queries: score descending, equal scores by ascending id.

    Args:
        n: how many queries there are.
        k: hits a query.
        query: (m,) row of the query of each pair.
        ids: (m,) vector id of each pair.
        scores: (m,) score of each pair.
    """
    hits = Hits(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))
    order = np.lexsort((ids, -scores, query))
    query, ids, scores = query[order], ids[order], scores[order]
    place = np.arange(len(query)) - np.searchsorted(query, query)
    best = place < k
    hits.ids[query[best], place[best]] = ids[best]
    hits.scores[query[best], place[best]] = scores[best]
    return hits

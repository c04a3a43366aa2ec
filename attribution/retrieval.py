"""Candidates from the index, scored exactly by the encoder's rule. Knows no calibration."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from attribution.index import Hits, Index, VectorsMissing
from models.parts import Part

Rows = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)
BLOCK = 256  # queries whose candidates are gathered at once; bounds memory


class Fusion:
    """How the parts of two rows make one score.

    One part: its cosine. Several: the largest of the parts' cosines, each standardised by the
    query's own cosines with the reference rows, so that a part on which the query resembles
    everything counts for little; of the reference only mean and covariance enter.

    Args:
        parts: slices of a row.
        reference: `(m, d)` rows of images outside any gallery; may be empty for one part.
    """

    def __init__(self, parts: tuple[Part, ...], reference: Rows) -> None:
        if len(parts) > 1 and not len(reference):
            raise ValueError("the scores of several parts cannot be fused without reference rows")
        self.parts = parts
        self.reference = reference
        self._moments = (
            [_moments(reference[:, part.columns]) for part in parts] if len(parts) > 1 else []
        )

    def scores(self, queries: Rows, rows: Rows) -> Rows:
        """Score every query with every row, or with its own rows.

        Args:
            queries: `(n, d)`.
            rows: `(m, d)` shared, or `(n, m, d)` one set a query.

        Returns:
            `(n, m)` float32.
        """
        fused: Rows | None = None
        for index, part in enumerate(self.parts):
            q, r = queries[:, part.columns], rows[..., part.columns]
            cosines: Rows = q @ r.T if rows.ndim == 2 else np.matmul(r, q[:, :, None])[..., 0]
            scores = self._standardise(index, q, cosines)
            fused = scores if fused is None else np.maximum(fused, scores)
        if fused is None:
            raise ValueError("an encoder has at least one part")
        return fused.astype(np.float32, copy=False)

    def _standardise(self, index: int, queries: Rows, cosines: Rows) -> Rows:
        if not self._moments:
            return cosines
        mean, covariance = self._moments[index]
        expected = queries @ mean
        deviation = np.sqrt(np.einsum("ni,ij,nj->n", queries, covariance, queries, optimize=True))
        standardised: Rows = (cosines - expected[:, None]) / np.maximum(deviation, 1e-6)[:, None]
        return standardised


def retrieve(
    index: Index,
    fusion: Fusion,
    queries: Rows,
    k: int,
    *,
    collections: frozenset[str] | None = None,
) -> Hits:
    """The k best rows of each query under the fused score.

    Each part proposes its own k best. Under the largest-part rule nothing is lost by that: a row
    among the fused k best has fewer than k rows above it in the part that gave its score.
    Padding is as in `Hits`; equal scores rank by ascending id.
    """
    found = [
        _retrieve_block(index, fusion, queries[start : start + BLOCK], k, collections)
        for start in range(0, len(queries), BLOCK)
    ]
    if not found:
        return Hits(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
    return Hits(
        np.concatenate([hits.ids for hits in found]),
        np.concatenate([hits.scores for hits in found]),
    )


def _retrieve_block(
    index: Index, fusion: Fusion, queries: Rows, k: int, collections: frozenset[str] | None
) -> Hits:
    if len(fusion.parts) == 1:
        return index.search(queries, k, collections=collections)
    while True:
        proposals = [
            index.search(queries, k, part=part.name, collections=collections).ids
            for part in fusion.parts
        ]
        candidates = unique_per_row(np.concatenate(proposals, axis=1))
        known = np.unique(candidates[candidates >= 0])
        try:
            rows = index.vectors(known)
        except VectorsMissing:
            continue  # removed between search and fetch: search again without them
        return _rank(fusion, queries, candidates, known, rows, k)


def _rank(
    fusion: Fusion,
    queries: Rows,
    candidates: NDArray[np.int64],
    known: NDArray[np.int64],
    rows: Rows,
    k: int,
) -> Hits:
    if not len(known):
        n = len(queries)
        return Hits(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))
    places = np.searchsorted(known, candidates.clip(min=known[0]))
    scores = fusion.scores(queries, rows[places])
    scores[candidates < 0] = -np.inf
    order = np.lexsort((candidates, -scores), axis=1)[:, :k]
    ids = np.take_along_axis(candidates, order, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    return Hits(_padded(ids, k, -1), _padded(ranked, k, -np.inf))


def unique_per_row(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort each row and replace repeats by -1."""
    ordered = np.sort(ids, axis=1)
    repeated = np.zeros_like(ordered, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return np.where(repeated, -1, ordered)


def _padded(values: NDArray[T], k: int, fill: float) -> NDArray[T]:
    missing = k - values.shape[1]
    if missing <= 0:
        return values
    return np.pad(values, ((0, 0), (0, missing)), constant_values=fill)


def _moments(rows: Rows) -> tuple[Rows, Rows]:
    mean = rows.mean(axis=0)
    centred = rows - mean
    covariance = centred.T @ centred / max(1, len(rows) - 1)
    return mean.astype(np.float32), covariance.astype(np.float32)

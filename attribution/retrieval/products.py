"""Queries as matrices: standardised scores of many rows by one product a part. Knows no index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from attribution.retrieval.fusion import Queries, Rows

_FEW = 4  # rows of queries up to which a product with each is quicker than one with all
_CACHED = 2048  # rows that such products take at once, so that they are read from memory once


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Queries as matrices that give standardised scores by one product a part, within the slack.

    Attributes:
        queries: of each part `(views * n, d')`, in its own units, a view after the other.
        offsets: of each part `(views * n, 1)`, to be taken off.
        views: how many there are of each query.
    """

    queries: tuple[Rows, ...]
    offsets: tuple[Rows, ...]
    views: int

    @classmethod
    def of(cls, asked: Queries) -> Self:
        """All views of these queries."""
        fusion = asked.fusion
        views = fusion.views_of(asked.rows)
        queries, offsets = [], []
        for number, part in enumerate(fusion.parts):
            levels = [of_view[number] for of_view in asked.levels]
            unit = np.concatenate([level.unit for level in levels])[:, None]
            expected = np.concatenate([level.expected for level in levels])[:, None]
            rows = np.concatenate([view[:, part.columns] for view in views])
            queries.append((rows / unit).astype(np.float32, copy=False))
            offsets.append((expected / unit).astype(np.float32, copy=False))
        return cls(tuple(queries), tuple(offsets), fusion.views)

    @property
    def rows(self) -> int:
        """How many scores each row that is compared gets, before they are joined."""
        return sum(map(len, self.queries))

    def standardised(self, parts: Sequence[Rows]) -> Rows:
        """`(parts, views, n, m)` with `(m, d')` rows of each part."""
        scores = np.empty((len(parts), len(self.queries[0]), len(parts[0])), np.float32)
        for place, rows in enumerate(parts):
            _multiply(self.queries[place], rows, scores[place])
            scores[place] -= self.offsets[place]
        return scores.reshape(len(parts), self.views, -1, len(parts[0]))


def _multiply(queries: Rows, rows: Rows, out: Rows) -> None:
    """Inner products of `(n, d')` queries with `(m, d')` rows, into `(n, m)`."""
    if len(queries) > _FEW:
        np.matmul(queries, rows.T, out=out)
        return
    # A product of matrices copies its larger one, which takes longer than reading it for each.
    for start in range(0, len(rows), _CACHED):
        block = rows[start : start + _CACHED]
        for query, products in zip(queries, out, strict=True):
            np.matmul(block, query, out=products[start : start + _CACHED])

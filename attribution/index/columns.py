"""Columns of rows that are much longer than the others, as a correction for hubs is."""

from __future__ import annotations

import numpy as np

from attribution.index.protocol import Mask, Vectors

_LONG = 10.0  # times the length of the median column


def long_columns(rows: Vectors) -> tuple[Mask, float]:
    """`(d',)` columns of (n, d') rows that are much longer than the others; how long those are."""
    lengths = np.sqrt(np.square(rows, dtype=np.float64).mean(axis=0))
    usual = float(np.median(lengths))
    return lengths > _LONG * usual, usual


def as_queries(rows: Vectors) -> Vectors:
    """Rows to be asked for: columns that are much longer than the others are as long as those.

    A source's correction for hubs is up to seven times as long as the rest of its row, and a query
    weighs it like any other column. Rows that ask with their own would mostly be asked for it.
    """
    long, usual = long_columns(rows)
    queries = rows.copy()
    queries[:, long] = usual
    return queries

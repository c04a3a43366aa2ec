"""Which candidates of a query show the same picture? Judged by their stored rows alone.

A picture that is held twice, re-encoded or scaled, must not be taken for its own neighbourhood.
Candidates of a query and of a background image are grouped by the same rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.statistic import Groups
from attribution.index import Index, VectorsMissing
from models.parts import Part

Rows = NDArray[np.float32]
SAME = 0.9
"""Cosine, in every part, from which two rows count as one picture. Of pictures saved again as JPEG
75, 99 % reach it; of 1,200 different ones, none with the nearest of the others but true doubles."""
_BLOCK = 64  # queries whose candidates' rows are gathered at once


def groups_of(index: Index, ids: NDArray[np.int64]) -> Groups:
    """Group the candidates of each query.

    A candidate joins the group of the first rank whose row is near its own in every part; that
    rank is the group's first member and joins nobody.

    Args:
        index: where the rows are; ids that it no longer holds stay alone.
        ids: `(n, k)` vector ids by rank, -1 where there are fewer; k at most 255.

    Returns:
        `(n, k)` uint8 place of the first member of each candidate's group.
    """
    blocks = [
        _groups_of_block(index, ids[start : start + _BLOCK]) for start in range(0, len(ids), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.empty(ids.shape, np.uint8)


def first_members(same: NDArray[np.bool_]) -> Groups:
    """`(n, k, k)` who is like whom, to `(n, k)` places of the first member of each one's group."""
    n, k = same.shape[:2]
    alone = np.broadcast_to(np.arange(k, dtype=np.uint8), (n, k))
    groups = alone.copy()
    for place in range(k - 1):
        leads = groups[:, place] == place
        joins = same[:, place] & (groups == alone) & leads[:, None]
        joins[:, : place + 1] = False
        groups[joins] = place
    return groups


def near(rows: Rows, parts: tuple[Part, ...]) -> NDArray[np.bool_]:
    r"""`(n, k, k)` whether two of a query's `(n, k, d)` rows are near in every part.

    Near is :math:`|a - b|^2 \le 2 (1 - c)`, for unit rows a cosine of at least c; a column that
    corrects a part for hubs has no say in it beyond its own difference.
    """
    together = np.ones((*rows.shape[:2], rows.shape[1]), dtype=bool)
    for part in parts:
        some = np.flatnonzero(together.sum(axis=(1, 2)) > rows.shape[1])
        if not len(some):
            break
        own = rows[some, :, part.columns]
        products = np.matmul(own, own.transpose(0, 2, 1))
        lengths = np.einsum("nii->ni", products)
        distances = lengths[:, :, None] + lengths[:, None, :] - 2 * products
        together[some] &= distances <= 2 * (1 - SAME)
    return together


def _groups_of_block(index: Index, ids: NDArray[np.int64]) -> Groups:
    known, rows = _held(index, np.unique(ids[ids >= 0]))
    if not len(known):
        return np.broadcast_to(np.arange(ids.shape[1], dtype=np.uint8), ids.shape).copy()
    places = np.searchsorted(known, ids).clip(max=len(known) - 1)
    if len(known) ** 2 <= ids.size * ids.shape[1]:  # few sources: compare each two of them once
        alike = near(rows[None], index.parts)[0]
        same = alike[places[:, :, None], places[:, None, :]]
    else:
        same = near(rows[places], index.parts)
    present = known[places] == ids
    return first_members(same & present[:, :, None] & present[:, None, :])


def _held(index: Index, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], Rows]:
    """Those of the ids that the index still holds, and their rows."""
    while True:
        try:
            return ids, index.vectors(ids)
        except VectorsMissing as missing:
            ids = np.setdiff1d(ids, np.array(missing.vector_ids, np.int64))

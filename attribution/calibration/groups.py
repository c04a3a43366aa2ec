"""Which candidates of a query show the same picture? Judged by their stored rows alone.

A picture that is held twice, re-encoded or scaled, must not be taken for its own neighbourhood.
Candidates of a query and of a background image are grouped by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.statistic import Groups
from attribution.index import Index, VectorsMissing
from models.parts import Part

Rows = NDArray[np.float32]
Places = NDArray[np.int64]
SAME = 0.9
"""Cosine, in every part, from which two rows count as one picture. Of pictures saved again as JPEG
75, 99 % reach it; of 1,200 different ones, none with the nearest of the others but true doubles."""
_NEAR = np.float32(2 * (1 - SAME))
_PAIRS = 4096  # pairs whose rows are gathered at once
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


@dataclass(frozen=True, slots=True)
class Pictures:
    """The candidates of one query, of each picture the best, and what else shows it.

    Attributes:
        firsts: places of the best candidates, ascending.
        copies: of each of them, the places of the others.
    """

    firsts: list[int]
    copies: list[list[int]]


def pictures_of(index: Index, ids: NDArray[np.int64], wanted: int) -> list[Pictures]:
    """Part the candidates of each query by what they show, best first.

    Args:
        index: where the rows are.
        ids: `(n, k)` vector ids by rank, -1 where there are fewer, at the end.
        wanted: pictures a query, at most half of 255; what comes after so many is not looked at.
    """
    grouped = groups_of(index, ids[:, :wanted])
    alone = (grouped == np.arange(grouped.shape[1])).all(axis=1) & (grouped.shape[1] == wanted)
    found = []
    for own, groups, plain in zip(ids, grouped, alone, strict=True):
        held = own[own >= 0]
        if plain:
            firsts = list(range(min(wanted, len(held))))
            found.append(Pictures(firsts, [[] for _ in firsts]))
        else:
            found.append(_pictures(index, held, groups[: len(held)], wanted))
    return found


def _pictures(index: Index, ids: NDArray[np.int64], groups: Groups, wanted: int) -> Pictures:
    """Of one query: some candidates at a time are grouped with the pictures found before."""
    firsts: list[int] = []
    copies: dict[int, list[int]] = {}
    for start in range(0, len(ids), wanted):
        block = list(range(start, min(start + wanted, len(ids))))
        both = firsts + block
        if start:
            groups = groups_of(index, ids[both][None])[0]
        for place, first in zip(both[len(firsts) :], groups[len(both) - len(block) :], strict=True):
            copies.setdefault(both[first], []).append(place)
        firsts = list(copies)
        if len(firsts) >= wanted:
            break
    firsts = firsts[:wanted]
    return Pictures(firsts, [copies[first][1:] for first in firsts])


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


def near(first: Rows, second: Rows) -> NDArray[np.bool_]:
    r"""`(m,)` whether two `(m, d')` rows of one part are near.

    Near is :math:`|a - b|^2 \le 2 (1 - c)`, for unit rows a cosine of at least c; a column that
    corrects a part for hubs has no say in it beyond its own difference.
    """
    apart = first - second
    near: NDArray[np.bool_] = np.einsum("ij,ij->i", apart, apart) <= _NEAR
    return near


def _groups_of_block(index: Index, ids: NDArray[np.int64]) -> Groups:
    alone = np.broadcast_to(np.arange(ids.shape[1], dtype=np.uint8), ids.shape)
    query, first, second = _near_in_every_part(index, ids)
    if not len(query):
        return alone.copy()
    some, place = np.unique(query, return_inverse=True)
    same = np.zeros((len(some), ids.shape[1], ids.shape[1]), dtype=bool)
    same[place, first, second] = True
    groups = alone.copy()
    groups[some] = first_members(same)
    return groups


def _near_in_every_part(index: Index, ids: NDArray[np.int64]) -> tuple[Places, Places, Places]:
    """Query, rank and later rank of candidates that are near in every part.

    All pairs are compared in the narrowest part; the few that are near there in the others too.
    """
    narrowest, *others = sorted(index.parts, key=lambda part: part.dimension)
    held, rows = _held(index, np.unique(ids[ids >= 0]), narrowest)
    query, first, second = _near_pairs(held, rows, ids)
    left, right = (np.searchsorted(held, ids[query, rank]) for rank in (first, second))
    pairs = left * len(held) + right  # a number a pair, for many queries have the same ones
    for part in others:
        if not len(pairs):
            break
        distinct, place = np.unique(pairs, return_inverse=True)
        each = held[np.stack(np.divmod(distinct, len(held)), axis=1)]
        known, rows = _held(index, np.unique(each), part)
        alike = np.zeros(len(each), dtype=bool)
        present = np.flatnonzero(np.isin(each, known).all(axis=1))
        for start in range(0, len(present), _PAIRS):
            some = present[start : start + _PAIRS]
            left, right = (rows[np.searchsorted(known, each[some, side])] for side in (0, 1))
            alike[some] = near(left, right)
        kept = alike[place]
        query, first, second, pairs = query[kept], first[kept], second[kept], pairs[kept]
    return query, first, second


def _near_pairs(
    held: NDArray[np.int64], rows: Rows, ids: NDArray[np.int64]
) -> tuple[Places, Places, Places]:
    """Query, rank and later rank of candidates whose rows of one part are near."""
    if not len(held):
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    places = np.searchsorted(held, ids).clip(max=len(held) - 1)
    present = held[places] == ids
    if len(held) ** 2 <= ids.size * ids.shape[1]:  # few sources: compare each two of them once
        return _among_few(_all_near(rows[None])[0], places, present)
    same = _all_near(rows[places])
    later = np.triu(np.ones((ids.shape[1], ids.shape[1]), dtype=bool), k=1)
    same &= later & present[:, :, None] & present[:, None, :]
    query, first, second = np.nonzero(same)
    return query, first, second


def _among_few(
    same: NDArray[np.bool_], places: Places, present: NDArray[np.bool_]
) -> tuple[Places, Places, Places]:
    """`_near_pairs` by the ranks of the near ones among `(h, h)` rows, for these are few."""
    n, k = places.shape
    left, right = np.nonzero(np.triu(same, k=1))
    ranks = np.full((n, len(same)), k)
    query, rank = np.nonzero(present)
    ranks[query, places[query, rank]] = rank
    first = np.minimum(ranks[:, left], ranks[:, right])
    second = np.maximum(ranks[:, left], ranks[:, right])
    query, pair = np.nonzero(second < k)
    return query, first[query, pair], second[query, pair]


def _all_near(rows: Rows) -> NDArray[np.bool_]:
    """`(n, k, k)` whether two of a query's `(n, k, d')` rows of one part are near; see `near`."""
    products = np.matmul(rows, rows.transpose(0, 2, 1))
    lengths = np.einsum("nii->ni", products)
    # |a|^2 + |b|^2 - 2 ab <= c, with nothing but the products of the size of all pairs
    near: NDArray[np.bool_] = products >= (lengths[:, :, None] + lengths[:, None, :] - _NEAR) / 2
    return near


def _held(index: Index, ids: NDArray[np.int64], part: Part) -> tuple[NDArray[np.int64], Rows]:
    """Those of the ids that the index still holds, and their rows of a part."""
    while True:
        try:
            return ids, index.vectors(ids, part=part.name)
        except VectorsMissing as missing:
            ids = np.setdiff1d(ids, np.array(missing.vector_ids, np.int64))

"""The k best of rows that are at hand, by one product a part for all queries; asks no index.

Products, or whoever proposes rows where that is quicker, find who may be among the best, within the
slack that they stray by; the few that may are scored again pair by pair, so that a score has the
same bits in whatever company it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attribution.index import Hits, Proposer, Stretch
from attribution.index.scan import rank
from attribution.retrieval.fusion import Fusion, Queries, Rows
from attribution.retrieval.products import Products

Places = NDArray[np.int64]
_QUERIES = 64  # compared together: as many as a product gains by
_PRODUCTS = 8_000_000  # of a block of rows with all views and parts of the queries: 32 MB
_FEWEST_ROWS = 4096  # of a block
_FEWEST_WANTED = 0.5  # share of a block that counts, below which its rows are gathered first


def best_of(asked: Queries, stretches: Sequence[Stretch], k: int) -> Hits:
    """The k best rows of each query, as `Hits` has them: ties by ascending id.

    Exact, but for rows of a stretch with a proposer: of those each part of each view of a query is
    proposed some, and as many are compared as one proposal has, those that are likely to be best.

    Raises:
        ValueError: k below 1, or queries that are not finite.
    """
    if k < 1:
        raise ValueError(f"k is {k}: ask for at least one hit")
    if not np.isfinite(asked.rows).all():
        raise ValueError("queries hold NaN or infinity: encode the images again")
    hits = Hits(np.empty((len(asked), k), np.int64), np.empty((len(asked), k), np.float32))
    for start in range(0, len(asked), _QUERIES):
        some = slice(start, start + _QUERIES)
        found = _best_of_some(asked.take(some), stretches, k)
        hits.ids[some], hits.scores[some] = found.ids, found.scores
    return hits


def _best_of_some(asked: Queries, stretches: Sequence[Stretch], k: int) -> Hits:
    products = Products.of(asked)
    rows = max(_FEWEST_ROWS, _PRODUCTS // max(1, products.rows))
    chosen = [_Chosen.nobody() for _ in stretches]
    floor = np.full(len(asked), -np.inf, np.float32)
    for number, stretch in enumerate(stretches):
        if stretch.proposer is not None:
            chosen[number] = _proposed(asked, products, stretch, stretch.proposer)
            floor = _kth(len(asked), k, chosen)
            continue
        for block in _blocks(stretch, rows):
            scores = products.standardised(block.parts)
            found = _may_be_among(asked, scores, block.excluded, floor, k)
            chosen[number] = chosen[number].with_more(found, block.positions)
            floor = _kth(len(asked), k, chosen)
    near = [each.above(floor - 2 * asked.slack) for each in chosen]
    return rank(
        len(asked),
        k,
        np.concatenate([each.query for each in near]),
        np.concatenate([s.ids[each.position] for s, each in zip(stretches, near, strict=True)]),
        np.concatenate(
            [
                each.score  # exact already
                if stretch.proposer is not None
                else asked.pair_scores(each.query, stretch.parts, each.position)
                for stretch, each in zip(stretches, near, strict=True)
            ]
        ),
    )


def _proposed(asked: Queries, products: Products, stretch: Stretch, proposer: Proposer) -> _Chosen:
    """Who of a stretch is proposed and likely to be among the best, and how they score."""
    n, count, fusion = len(asked), stretch.proposed, asked.fusion
    places, about = [], []
    for part, queries, offsets in zip(
        fusion.parts, products.queries, products.offsets, strict=True
    ):
        scores, positions = proposer.nominate(part.name, queries, count)
        places.append(positions)
        about.append(scores - offsets)
    by_query = (len(places), products.views, n, count)
    position, score = np.stack(places).reshape(by_query), np.stack(about).reshape(by_query)
    likely = [
        _likely(fusion, position[:, :, row], score[:, :, row], stretch.mask) for row in range(n)
    ]
    query = np.repeat(np.arange(n), [len(each) for each in likely])
    found = np.concatenate(likely)
    return _Chosen(query, found, asked.pair_scores(query, stretch.parts, found))


def _likely(
    fusion: Fusion, positions: Places, scores: Rows, mask: NDArray[np.bool_] | None
) -> Places:
    """The rows that score best as far as it was proposed, as many as one proposal has, in order.

    Args:
        fusion: the rule.
        positions: `(parts, views, count)` proposed for one query, -1 for nobody.
        scores: about how they do; a part and view that did not propose a row is taken to give it
            what it gives the last of its own.
        mask: rows that count; None for all.
    """
    there = positions >= 0
    known = np.unique(positions[there])
    if mask is not None:
        known = known[mask[known]]
    if not len(known):
        return known
    last = np.where(there, scores, np.inf).min(axis=2, keepdims=True)
    filled = np.where(np.isfinite(last), last, -np.inf).repeat(len(known), axis=2)
    for place in np.ndindex(positions.shape[:2]):
        own = positions[place]
        at = np.searchsorted(known, own).clip(max=len(known) - 1)
        held = there[place] & (known[at] == own)
        filled[place][at[held]] = scores[place][held]
    count = positions.shape[2]
    if len(known) > count:
        known = known[np.argpartition(-fusion.joined(filled), count)[:count]]
    return np.sort(known)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Some rows of a stretch: where they lie, their parts, and who of them does not count."""

    positions: Places
    parts: tuple[Rows, ...]
    excluded: NDArray[np.bool_] | None


def _blocks(stretch: Stretch, rows: int) -> Iterator[_Block]:
    for start in range(0, len(stretch.ids), rows):
        block = slice(start, start + rows)
        positions = np.arange(start, min(start + rows, len(stretch.ids)))
        wanted = None if stretch.mask is None else stretch.mask[block]
        if wanted is None or wanted.all():
            yield _Block(positions, tuple(part[block] for part in stretch.parts), None)
        elif wanted.mean() >= _FEWEST_WANTED:  # a copy of so many would cost more than comparing
            yield _Block(positions, tuple(part[block] for part in stretch.parts), ~wanted)
        elif wanted.any():
            positions = positions[wanted]
            yield _Block(positions, tuple(part[positions] for part in stretch.parts), None)


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """`(m,)` pairs of a query and a row that may be among its best, and about how they score."""

    query: Places
    position: Places
    score: Rows

    @classmethod
    def nobody(cls) -> Self:
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    def with_more(self, found: _Chosen, positions: Places) -> _Chosen:
        """These and some of a block whose rows lie at these positions."""
        return _Chosen(
            np.concatenate([self.query, found.query]),
            np.concatenate([self.position, positions[found.position]]),
            np.concatenate([self.score, found.score]),
        )

    def above(self, floor: Rows) -> _Chosen:
        """Those that reach their query's floor, query by query."""
        kept = np.flatnonzero(self.score >= floor[self.query])
        kept = kept[np.argsort(self.query[kept], kind="stable")]
        return _Chosen(self.query[kept], self.position[kept], self.score[kept])


def _may_be_among(
    asked: Queries, scores: Rows, excluded: NDArray[np.bool_] | None, floor: Rows, k: int
) -> _Chosen:
    """Who of a block may be among the k best, given what the k-th best scores at least.

    The largest of a row's parts and views bounds its score from below, and with `Fusion.spread`
    from above: nobody is joined who cannot come in.
    """
    largest = scores.max(axis=(0, 1))
    if excluded is not None:
        largest[:, excluded] = -np.inf
    columns = largest.shape[1]
    if columns > k:
        floor = np.maximum(floor, np.partition(largest, columns - k, axis=1)[:, columns - k])
    enough = np.maximum(
        floor - 2 * asked.slack - asked.fusion.spread, np.finfo(np.float32).min, dtype=np.float32
    )
    query, column = np.divmod(np.flatnonzero(largest >= enough[:, None]), columns)
    return _Chosen(query, column, asked.fusion.joined(scores[:, :, query, column]))


def _kth(n: int, k: int, chosen: Sequence[_Chosen]) -> Rows:
    """`(n,)` the k-th best score so far of each query, -inf where there are fewer."""
    query = np.concatenate([each.query for each in chosen])
    score = np.concatenate([each.score for each in chosen])
    order = np.argsort(query, kind="stable")
    query, score = query[order], score[order]
    first = np.searchsorted(query, np.arange(n))
    most = int(np.diff(first, append=len(query)).max(initial=0))
    if most < k:
        return np.full(n, -np.inf, np.float32)
    padded = np.full((n, most), -np.inf, np.float32)
    padded[query, np.arange(len(query)) - first[query]] = score
    kth: Rows = np.partition(padded, most - k, axis=1)[:, most - k]
    return kth

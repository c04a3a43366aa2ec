"""The best rows of an index by the encoder's rule, scored exactly. Knows no calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.index import Hits, Index, VectorsMissing
from attribution.index.scan import rank
from attribution.retrieval.fusion import Fusion, Queries, Rows
from attribution.retrieval.scanning import best_of
from models.encoder import Encoder

Ids = NDArray[np.int64]
BLOCK = 32  # queries whose candidates are gathered at once; bounds memory
_ROUNDS = 6  # how often the number of proposals is doubled before they have to do


@dataclass(frozen=True, slots=True, eq=False)
class Among:
    """Candidates of n queries compared with each other, the e best with all k.

    Attributes:
        scores: `(n, e, k, parts)` of the e best as queries; -inf where there is none.
        apart: `(n, e, k, parts)` squared distances of their rows; inf where there is none.
    """

    scores: Rows
    apart: Rows


def retrieve(
    index: Index, asked: Queries, k: int, *, collections: frozenset[str] | None = None
) -> Hits:
    """The k best rows of each query under the fused score.

    Rows that are at hand are compared here, with all queries at once (`scanning`). Where they are
    elsewhere, each part of each view asks the index for its own best. Under the rule of the
    largest, k of them are enough and nothing is lost: a row among the fused k best has fewer than k
    rows above it in the view and part that gave its score. Where parts add up, a row could be among
    the best without standing out in any part. So each is asked for `OVERFETCH` times as many, and
    for twice as many again while a row that no part named could still be among the k best (the
    stopping rule of Fagin, Lotem and Naor, "Optimal aggregation algorithms for middleware", 2003),
    at most `_ROUNDS` times.

    Scores are bitwise the same whatever else is asked or held. Padding is as in `Hits`; equal
    scores rank by ascending id.

    Args:
        index: rows of sources.
        asked: the queries, as the encoder's rule has prepared them.
        k: rows a query.
        collections: searched set; None for all.
    """
    stretches = index.scanned(k, collections=collections)
    if stretches is not None:
        return best_of(asked, stretches, k)
    found = [
        _retrieve_block(index, asked.take(slice(start, start + BLOCK)), k, collections)
        for start in range(0, len(asked), BLOCK)
    ]
    if not found:
        return Hits(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
    return Hits(
        np.concatenate([hits.ids for hits in found]),
        np.concatenate([hits.scores for hits in found]),
    )


def _retrieve_block(
    index: Index, asked: Queries, k: int, collections: frozenset[str] | None
) -> Hits:
    fusion = asked.fusion
    if fusion.views == len(fusion.parts) == 1:
        return index.search(asked.rows, k, collections=collections)
    hits = Hits(np.empty((len(asked), k), np.int64), np.empty((len(asked), k), np.float32))
    waiting = np.arange(len(asked))
    proposed = k * fusion.overfetch
    for attempt in range(_ROUNDS):
        some = asked.take(waiting)
        found, surpassable = _best_of_proposed(index, some, k, proposed, collections)
        hits.ids[waiting], hits.scores[waiting] = found.ids, found.scores
        waiting = waiting[surpassable]
        if fusion.rule != "harmonic-mean-p" or not len(waiting) or attempt == _ROUNDS - 1:
            break
        proposed *= 2
    return hits


def _best_of_proposed(
    index: Index, asked: Queries, k: int, proposed: int, collections: frozenset[str] | None
) -> tuple[Hits, NDArray[np.bool_]]:
    """The k best of what parts and views propose; for which queries others could be better."""
    fusion = asked.fusion
    while True:
        proposals = [
            [
                index.search(view, proposed, part=part.name, collections=collections)
                for part in fusion.parts
            ]
            for view in fusion.views_of(asked.rows)
        ]
        candidates = unique_per_row(
            np.concatenate([hits.ids for of_view in proposals for hits in of_view], axis=1)
        )
        known = np.unique(candidates[candidates >= 0])
        try:
            rows = index.vectors(known)
        except VectorsMissing:
            continue  # removed between search and fetch: search again without them
        break
    found = _ranked(asked, candidates, known, rows, k)
    # What no part proposed has, in every part, at most the cosine of the last one proposed.
    last = [[hits.scores[:, -1] for hits in of_view] for of_view in proposals]
    bound = asked.bound(last)
    return found, np.isfinite(bound) & (found.scores[:, -1] <= bound + asked.slack)


def _ranked(
    asked: Queries, candidates: NDArray[np.int64], known: NDArray[np.int64], rows: Rows, k: int
) -> Hits:
    if not len(known):
        n = len(asked)
        return Hits(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))
    places = np.searchsorted(known, candidates.clip(min=known[0]))
    # Candidates of a block are mostly shared, so one product with all of them is quicker than a
    # gather of each query's own; those that may be among the k best are scored again, exactly.
    scores = np.take_along_axis(asked.scores(rows), places, axis=1)
    scores[candidates < 0] = -np.inf
    query, column = near_best(scores, k, asked.slack)
    exact = pair_scores(asked, query, rows, places[query, column])
    return rank(len(asked), k, query, candidates[query, column], exact)


def near_best(scores: Rows, k: int, slack: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the finite scores that may be among the k best of their row."""
    floor = np.full(len(scores), -np.inf, np.float32)
    if scores.shape[1] > k:
        cut = scores.shape[1] - k
        floor = np.partition(scores, cut, axis=1)[:, cut]
    query, column = np.nonzero((scores >= (floor - 2 * slack)[:, None]) & np.isfinite(scores))
    return query, column


def pair_scores(
    asked: Queries, query: NDArray[np.int64], rows: Rows, places: NDArray[np.int64]
) -> Rows:
    """`(m,)` exact scores of queries with `rows[places]`, whole `(d,)` rows."""
    parts = [rows[:, part.columns] for part in asked.fusion.parts]
    return asked.pair_scores(query, parts, places)


def part_scores_of(index: Index, asked: Queries, ids: NDArray[np.int64]) -> Rows:
    """`(n, k, parts)` what each part says of each query's candidates, `Queries.part_scores`.

    Args:
        index: where the rows are.
        asked: n queries.
        ids: `(n, k)` vector ids; -inf is said of one that the index does not hold (any more).
    """
    scores = np.full((*ids.shape, len(asked.fusion.parts)), -np.inf, np.float32)
    few = len(np.unique(ids)) <= BLOCK * ids.shape[1]  # then a row is wanted by many queries
    block = max(1, len(ids)) if few else BLOCK
    for start in range(0, len(ids), block):
        some = slice(start, start + block)
        held, rows = _held(index, np.unique(ids[some]))
        if not len(held):
            continue
        places = np.searchsorted(held, ids[some]).clip(max=len(held) - 1)
        query, column = np.nonzero(held[places] == ids[some])
        exact = asked.take(some).part_scores(query, rows, places[query, column])
        scores[start + query, column] = exact
    return scores


def scores_with(index: Index, asked: Queries, ids: Ids) -> Rows:
    """`(n, m)` what each query scores with the same few sources; -inf of one that is not held.

    Args:
        index: where the rows are.
        asked: n queries.
        ids: `(m,)` vector ids.
    """
    scores = np.full((len(asked), len(ids)), -np.inf, np.float32)
    held, parts = _held(index, np.unique(ids))
    if len(held):
        columns = np.flatnonzero(np.isin(ids, held))
        found = asked.scores(np.concatenate(parts, axis=1))
        scores[:, columns] = found[:, np.searchsorted(held, ids[columns])]
    return scores


def scores_among(index: Index, encoder: Encoder, ids: Ids, first: int, rule: Fusion) -> Among:
    """What the best candidates of each query would score with all of them, as queries themselves.

    Args:
        index: where the rows are.
        encoder: what made them.
        ids: `(n, k)` vector ids by rank, -1 where there are fewer.
        first: candidates that are put as queries, at most so many.
        rule: for queries of one view.
    """
    firsts = ids[:, :first]
    scores = np.full((*firsts.shape, ids.shape[1], len(rule.parts)), -np.inf, np.float32)
    apart = np.full(scores.shape, np.inf, np.float32)
    asking, queries = _held(index, np.unique(firsts))
    if not len(asking):
        return Among(scores, apart)
    asked = rule.prepare(encoder.as_queries(np.concatenate(queries, axis=1)))
    for query, own in enumerate(ids):
        held, parts = _held(index, np.unique(own))
        columns = np.flatnonzero(np.isin(own, held))
        row = np.flatnonzero(np.isin(own[:first], asking))
        column, places = np.searchsorted(held, own[columns]), np.searchsorted(asking, own[row])
        found = asked.take(places).scores_of_parts(parts).swapaxes(1, 2)
        distances = _distances([each[places] for each in queries], parts)
        scores[query, row[:, None], columns] = found[:, column]
        apart[query, row[:, None], columns] = distances[:, column]
    return Among(scores, apart)


def _distances(first: Sequence[Rows], second: Sequence[Rows]) -> Rows:
    """`(e, k, parts)` squared distances of `(e, d')` and `(k, d')` rows of each part."""
    found = np.empty((len(first[0]), len(second[0]), len(first)), np.float32)
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        lengths = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
        found[..., number] = lengths - 2 * a @ b.T
    return found


def _held(index: Index, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[Rows]]:
    """Those of the ids that the index holds, and their rows of each part."""
    ids = ids[ids >= 0]
    while True:
        try:
            return ids, [index.vectors(ids, part=part.name) for part in index.parts]
        except VectorsMissing as missing:
            ids = np.setdiff1d(ids, np.array(missing.vector_ids, np.int64))


def unique_per_row(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort each row and replace repeats by -1."""
    ordered = np.sort(ids, axis=1)
    repeated = np.zeros_like(ordered, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return np.where(repeated, -1, ordered)

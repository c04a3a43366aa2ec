"""How the parts and views of a query and of a source make one score. Knows no index."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attribution.retrieval.standardisation import Level, Moments
from models.encoder import Encoder
from models.parts import Part

Rows = NDArray[np.float32]
Rule = Literal["single", "max-standardised", "harmonic-mean-p"]
OVERFETCH = 2  # candidates that a part proposes for each row wanted, where parts are added up
# How far a matrix product may stray from a sum in fixed order, for inner products of unit rows.
_STRAY = 1e-5
_PAIRS = 4096  # pairs scored at once, so that their rows stay in the processor's cache
_LONG = 8  # pairs of one row from which it is compared with the others' instead of copied
Places = NDArray[np.int64]
Pick = slice | tuple[slice, None] | Places


class Fusion:
    r"""How the views and parts of a query and the parts of a source make one score.

    One part: its cosine. Several: each part's cosines are first standardised by the query's own
    cosines with the reference rows, so that a part on which the query resembles everything counts
    for little; of the reference only mean and covariance enter. Then one of two rules:

    - `max-standardised`: the largest of the parts' standardised scores :math:`z_p`.
    - `harmonic-mean-p`: the parts' standardised scores become p-values and are combined by their
      harmonic mean (Wilson, "The harmonic mean p-value for combining dependent tests", PNAS
      2019). The best score of an image that has no source is nearly Gumbel distributed, with a
      tail :math:`p \approx e^{-(z-\mu_p)/\beta_p}`, so the score is

      .. math:: s = \log \sum_p \exp\big( (z_p - \mu_p) / \beta_p \big)

      with location and scale of each part from the best scores of reference rows among each
      other. A part whose best scores are high for anything (semantics: there is always another
      dog) must then show more than one whose best scores never are (outlines). In a larger
      gallery all parts shift alike, by the logarithm of its size.

    A query of several views, such as an image and its mirror image, has the largest of the views'
    scores; each view is standardised as if it were a query of its own.

    Args:
        parts: slices of a row.
        reference: `(m, d)` rows of images outside any gallery, embedded as sources; may be empty
            for one part.
        views: rows that a query has, side by side.
        rule: how parts are joined; with one part there is nothing to join.
        reference_queries: `(m, d)` rows of the same images, embedded as queries of one view;
            `reference` where that makes no difference.
    """

    def __init__(
        self,
        parts: tuple[Part, ...],
        reference: Rows,
        views: int = 1,
        rule: Rule = "max-standardised",
        *,
        reference_queries: Rows | None = None,
    ) -> None:
        if not parts:
            raise ValueError("an encoder has at least one part")
        if len(parts) > 1 and rule == "single":
            raise ValueError(f"{len(parts)} parts need a rule that joins them")
        if len(parts) > 1 and len(reference) < 2:
            raise ValueError("the scores of several parts cannot be fused without reference rows")
        self.parts = parts
        self.reference = reference
        self.reference_queries = reference if reference_queries is None else reference_queries
        self.views = views
        self.rule: Rule = rule if len(parts) > 1 else "single"
        self._moments: list[Moments] = []
        if len(parts) > 1:
            self._moments = [
                Moments.of(reference[:, part.columns], self.reference_queries[:, part.columns])
                for part in parts
            ]

    @property
    def overfetch(self) -> int:
        """Candidates that each part should propose for every row wanted."""
        return OVERFETCH if self.rule == "harmonic-mean-p" else 1

    @property
    def offsets(self) -> Rows:
        """`(parts,)` what standardising takes off a score whose cosine is as expected."""
        if self.rule != "harmonic-mean-p":
            return np.zeros(len(self.parts), np.float32)
        return np.array([each.location / each.scale for each in self._moments], np.float32)

    def of_one_view(self) -> Fusion:
        """The same rule for queries that are looked at in one view."""
        one = copy(self)
        one.views = 1
        return one

    @property
    def spread(self) -> float:
        """How far a score may lie above the largest of its parts' standardised scores."""
        return math.log(len(self.parts)) if self.rule == "harmonic-mean-p" else 0.0

    def joined(self, scores: Rows) -> Rows:
        """`(parts, views, ...)` standardised scores of pairs made one score each, `(...)`."""
        by_view: Rows = reduce(self.join, list(scores))
        largest: Rows = by_view.max(axis=0)
        return largest

    def join(self, first: Rows, second: Rows) -> Rows:
        """Two parts' standardised scores made one."""
        rule = np.logaddexp if self.rule == "harmonic-mean-p" else np.maximum
        joined: Rows = rule(first, second)
        return joined

    def prepare(self, queries: Rows) -> Queries:
        """`(n, views * d)` queries, with all that only depends on them computed once.

        Raises:
            ValueError: queries of another width.
        """
        views = self.views_of(queries)
        return Queries(self, queries, tuple(tuple(self._levels(view)) for view in views))

    def scores(self, queries: Rows, rows: Rows) -> Rows:
        """Score every query with every row, or with its own rows.

        Args:
            queries: `(n, views * d)`.
            rows: `(m, d)` shared, or `(n, m, d)` one set a query.

        Returns:
            `(n, m)` float32.

        Raises:
            ValueError: queries of another width.
        """
        return self.prepare(queries).scores(rows)

    def views_of(self, queries: Rows) -> list[Rows]:
        """`(n, views * d)` rows cut into `(n, d)` ones, each as wide as a source's.

        Raises:
            ValueError: queries of another width.
        """
        dimension = max(part.stop for part in self.parts)
        if queries.ndim != 2 or queries.shape[1] != self.views * dimension:
            raise ValueError(
                f"queries must be (n, {self.views * dimension}), {self.views} x {dimension} "
                f"columns, not {queries.shape}: encode them with this encoder and domain 'query'"
            )
        return [
            queries[:, start : start + dimension] for start in range(0, queries.shape[1], dimension)
        ]

    def _levels(self, view: Rows) -> list[Level]:
        """By what the cosines of each part of a view are standardised."""
        if not self._moments:
            return [Level(np.zeros(len(view), np.float32), np.ones(len(view), np.float32))]
        return [
            moments.level(view[:, part.columns], calibrated=self.rule == "harmonic-mean-p")
            for part, moments in zip(self.parts, self._moments, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """Queries as a rule sees them; what depends on them alone is computed once.

    Attributes:
        fusion: the rule.
        rows: `(n, views * d)`.
        levels: of each view, of each part.
    """

    fusion: Fusion
    rows: Rows
    levels: tuple[tuple[Level, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def slack(self) -> Rows:
        """`(n,)` how far `scores` may stray from `pair_scores`."""
        smallest = reduce(np.minimum, (level.unit for levels in self.levels for level in levels))
        stray: Rows = np.float32(_STRAY) / smallest
        return stray

    def take(self, places: NDArray[np.int64] | slice) -> Queries:
        """Some of the queries."""
        return Queries(
            self.fusion,
            self.rows[places],
            tuple(
                tuple(Level(level.expected[places], level.unit[places]) for level in levels)
                for levels in self.levels
            ),
        )

    def scores(self, rows: Rows) -> Rows:
        """`(n, m)` of every query with `(m, d)` shared rows, or with its own `(n, m, d)`.

        Matrix products add up in an order that depends on how many rows there are, so the last
        bits of a score do too; see `pair_scores`.
        """

        def cosines(view: Rows, number: int) -> Rows:
            columns = self.fusion.parts[number].columns
            q, r = view[:, columns], rows[..., columns]
            return q @ r.T if rows.ndim == 2 else np.matmul(r, q[:, :, None])[..., 0]

        return self.fusion.joined(self._standardised_all(cosines, (slice(None), None)))

    def pair_scores(self, places: Places, parts: Sequence[Rows], positions: Places) -> Rows:
        """`(m,)` of pairs of a query and a row, each bitwise the same in whatever company.

        Args:
            places: `(m,)` which query; quickest where the pairs of one follow each other.
            parts: `(r, d')` rows of each part.
            positions: `(m,)` which row.
        """
        scores = np.empty(len(places), np.float32)
        for pairs, standardised in self._paired(places, parts, positions):
            scores[pairs] = self.fusion.joined(standardised)
        return scores

    def part_scores(self, places: Places, parts: Sequence[Rows], positions: Places) -> Rows:
        """`(m, parts)` of the same pairs before they are joined, the larger of the views'."""
        scores = np.empty((len(places), len(self.fusion.parts)), np.float32)
        for pairs, standardised in self._paired(places, parts, positions):
            scores[pairs] = standardised.max(axis=1).T
        return scores

    def scores_by_part(self, rows: Rows) -> tuple[Rows, Rows]:
        """`scores` of `(m, d)` shared rows, and `(n, parts, m)` before they are joined."""
        standardised = self._with_all([rows[:, part.columns] for part in self.fusion.parts])
        by_part: Rows = standardised.max(axis=1).swapaxes(0, 1)
        return self.fusion.joined(standardised), by_part

    def scores_of_parts(self, parts: Sequence[Rows]) -> Rows:
        """`(n, parts, m)` of every query with the shared `(m, d')` rows of each part."""
        by_part: Rows = self._with_all(parts).max(axis=1).swapaxes(0, 1)
        return by_part

    def _with_all(self, parts: Sequence[Rows]) -> Rows:
        """`(parts, views, n, m)` of every query with the shared rows."""
        return self._standardised_all(
            lambda view, number: view[:, self.fusion.parts[number].columns] @ parts[number].T,
            (slice(None), None),
        )

    def _paired(
        self, places: Places, parts: Sequence[Rows], positions: Places
    ) -> Iterator[tuple[slice | Places, Rows]]:
        """`(parts, views, m)` of pairs, some at a time, so that rows stay in the cache."""
        for pairs in _batches(places, positions):
            yield pairs, self._in_fixed_order(places[pairs], parts, positions[pairs])

    def _in_fixed_order(self, places: Places, parts: Sequence[Rows], positions: Places) -> Rows:
        """Scores of pairs, summed up in an order that only depends on how long a row is."""
        several = len(places) > 1
        one_query = several and bool((places == places[0]).all())
        one_row = several and not one_query and bool((positions == positions[0]).all())
        rows = [part[positions[0] if one_row else positions] for part in parts]
        pick = slice(places[0], places[0] + 1) if one_query else _without_copy(places)

        def cosines(view: Rows, number: int) -> Rows:
            queries = view[:, self.fusion.parts[number].columns]
            products: Rows
            if one_query:
                products = np.einsum("j,ij->i", queries[places[0]], rows[number])
            elif one_row:
                products = np.einsum("ij,j->i", queries[pick], rows[number])
            else:
                products = np.einsum("ij,ij->i", queries[pick], rows[number])
            return products

        return self._standardised_all(cosines, pick)

    def bound(self, cosines: list[list[Rows]]) -> Rows:
        """`(n,)` largest score of a row that has at most these cosines, by view and part."""
        joined = [
            reduce(
                self.fusion.join,
                (
                    self._standardised(cosine, level, slice(None))
                    for cosine, level in zip(of_view, levels, strict=True)
                ),
            )
            for of_view, levels in zip(cosines, self.levels, strict=True)
        ]
        return reduce(np.maximum, joined)

    def _standardised_all(self, cosines: Callable[[Rows, int], Rows], pick: Pick) -> Rows:
        """`(parts, views, ...)` standardised scores."""
        views = self.fusion.views_of(self.rows)
        return np.array(
            [
                [
                    self._standardised(cosines(view, number), levels[number], pick)
                    for view, levels in zip(views, self.levels, strict=True)
                ]
                for number in range(len(self.fusion.parts))
            ],
            np.float32,
        )

    def _standardised(self, cosines: Rows, level: Level, pick: Pick) -> Rows:
        if self.fusion.rule == "single":
            return cosines
        standardised: Rows = (cosines - level.expected[pick]) / level.unit[pick]
        return standardised


def _without_copy(places: Places) -> slice | Places:
    """The places as a slice where they follow each other."""
    if len(places) and bool((np.diff(places) == 1).all()):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _batches(places: Places, positions: Places) -> Iterator[slice | Places]:
    """Pairs to be scored at once: those of one query, or of one row, where they are many."""
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    rows = len(np.unique(positions)) if len(places) >= _LONG else len(places)
    if min(len(starts), rows) * _LONG > len(places):
        starts = np.arange(0, len(places), _PAIRS)
    elif rows < len(starts):
        order = np.argsort(positions, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(positions[order])) + 1):
            for begin in range(0, len(some), _PAIRS):
                yield some[begin : begin + _PAIRS]
        return
    for start, stop in pairwise([*starts.tolist(), len(places)]):
        for begin in range(start, stop, _PAIRS):
            yield slice(begin, min(begin + _PAIRS, stop))


def fusion_of(encoder: Encoder, *, views: int | None = None) -> Fusion:
    """The rule that an encoder's card asks for; of fewer views where they are scored apart."""
    return Fusion(
        encoder.parts,
        encoder.reference,
        encoder.views if views is None else views,
        encoder.fusion,
        reference_queries=encoder.reference_queries,
    )

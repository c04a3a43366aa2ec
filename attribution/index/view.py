"""The state of an index at one generation, immutable: whoever holds it searches without a lock.

It must not know how states follow one another; that is the writer's business (`embedded.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from attribution.index.faiss_structure import Structure
from attribution.index.protocol import ChangeBatch, Hits, Ids, Mask, Vectors, VectorsMissing
from attribution.index.scan import Candidates, exact_scores, rank, scan
from attribution.index.segment import Codes, Segment
from attribution.index.sizing import Sizing, fetched
from models.parts import Part


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All live rows by ascending id: what two indexes must share to be equal.

    Attributes:
        ids: (n,) int64.
        vectors: (n, d) float32.
        collections: n names.
    """

    ids: Ids
    vectors: Vectors
    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A base, the tail behind it, and the names that their collection codes stand for.

    Attributes:
        base: rows in the order of their ids.
        structure: finds candidates in the base; None where the base is scanned.
        tail: rows added since the base was built; always scanned.
        names: collection names by code.
        generation: the last change these rows reflect.
        touched: the last change of each collection that had any since the index was opened.
    """

    base: Segment
    structure: Structure | None
    tail: Segment
    names: tuple[str, ...]
    generation: int
    touched: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, dimension: int) -> Self:
        """No rows, before the first change."""
        nothing = Segment.by_id(
            np.empty(0, np.int64), np.empty((0, dimension), np.float32), np.empty(0, np.int32)
        )
        return cls(nothing, None, nothing, (), 0)

    def holds(self, ids: Ids, vectors: Vectors, codes: Codes) -> Mask:
        """(m,) rows that adding would not change: replayed, or embedded by a further encoder."""
        held = np.zeros(len(ids), np.bool_)
        for segment in (self.base, self.tail):
            at = segment.locate(ids)
            same = segment.codes[at[at >= 0]] == codes[at >= 0]
            same &= (segment.rows[at[at >= 0]] == vectors[at >= 0]).all(axis=1)
            held[at >= 0] = same
        return held

    def search(
        self,
        queries: Vectors,
        part: Part,
        k: int,
        collections: frozenset[str] | None,
        sizing: Sizing,
    ) -> Hits:
        """The k best rows of each query (n, d'), which is already cut to the part."""
        wanted = self._wanted(collections)
        base, tail = self.base.rows[:, part.columns], self.tail.rows[:, part.columns]
        in_base = self._in_base(queries, part, k, wanted, sizing)
        in_tail = scan(queries, tail, self.tail.mask(wanted), k)
        return rank(
            len(queries),
            k,
            np.concatenate([in_base.query, in_tail.query]),
            np.concatenate([self.base.ids[in_base.position], self.tail.ids[in_tail.position]]),
            np.concatenate(
                [exact_scores(queries, base, in_base), exact_scores(queries, tail, in_tail)]
            ),
        )

    def _in_base(
        self, queries: Vectors, part: Part, k: int, wanted: Mask | None, sizing: Sizing
    ) -> Candidates:
        """Candidates of the base: from its structure, or scanned where that is surer.

        A filtered set is always scanned: whom a structure nominates depends on all it holds, and
        an answer within some collections must tell nothing of what lies in others.
        """
        rows, mask = self.base.rows[:, part.columns], self.base.mask(wanted)
        allowed = len(rows) if mask is None else int(np.count_nonzero(mask))
        few = sizing.scans(allowed) or allowed <= fetched(k)
        if self.structure is None or wanted is not None or few:
            return scan(queries, rows, mask, k)
        positions = self.structure.nominate(part.name, queries, mask, fetched(k))
        short = (positions >= 0).sum(axis=1) < k
        query, column = np.nonzero((positions >= 0) & ~short[:, None])
        position = positions[query, column]
        if short.any():
            # A graph walk can end early where many rows are dead, and read lists can hold fewer
            # than k. Neither must cost hits, so these queries are scanned.
            rest = scan(queries[short], rows, mask, k)
            query = np.concatenate([query, np.flatnonzero(short)[rest.query]])
            position = np.concatenate([position, rest.position])
        return Candidates(query, position)

    def vectors(self, ids: Ids) -> Vectors:
        """(m, d) float32 rows of the ids, in the order asked; raises VectorsMissing."""
        in_base, in_tail = self.base.locate(ids), self.tail.locate(ids)
        missing = ids[(in_base < 0) & (in_tail < 0)]
        if len(missing):
            raise VectorsMissing(missing.tolist())
        rows = np.empty((len(ids), self.base.rows.shape[1]), np.float32)
        rows[in_base >= 0] = self.base.rows[in_base[in_base >= 0]]
        rows[in_tail >= 0] = self.tail.rows[in_tail[in_tail >= 0]]
        return rows

    def count(self, collections: frozenset[str]) -> int:
        """How many live rows these collections have."""
        wanted = self._wanted(collections)
        masks = (segment.mask(wanted) for segment in (self.base, self.tail))
        return sum(int(np.count_nonzero(mask)) for mask in masks if mask is not None)

    def touched_by(self, batch: ChangeBatch) -> dict[str, int]:
        """`touched` after a batch: of what it adds, and of what it removes and we hold."""
        names = set(batch.add_collections)
        for segment in (self.base, self.tail):
            at = segment.locate(np.concatenate([batch.remove_ids, batch.add_ids]))
            names.update(self.names[code] for code in np.unique(segment.codes[at[at >= 0]]))
        return {**self.touched, **dict.fromkeys(names, batch.generation)}

    def compacted(self) -> Segment:
        """The live rows of base and tail as one base."""
        return Segment.by_id(*(np.concatenate(pair) for pair in zip(*self._live(), strict=True)))

    def contents(self) -> Contents:
        """All live rows by ascending id."""
        rows = self.compacted()
        return Contents(rows.ids, rows.rows, tuple(self.names[code] for code in rows.codes))

    def _live(self) -> tuple[tuple[Ids, Vectors, Codes], ...]:
        return tuple(
            (segment.ids[segment.live], segment.rows[segment.live], segment.codes[segment.live])
            for segment in (self.base, self.tail)
        )

    def _wanted(self, collections: frozenset[str] | None) -> Mask | None:
        if collections is None:
            return None
        return np.array([name in collections for name in self.names], dtype=np.bool_)

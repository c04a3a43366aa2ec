"""The state of an index at one generation, immutable: whoever holds it searches without a lock.

It must not know how states follow one another; that is the writer's business (`embedded.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from attribution.index.faiss_structure import Structure
from attribution.index.protocol import (
    ChangeBatch,
    Hits,
    Ids,
    Mask,
    Stretch,
    Vectors,
    VectorsMissing,
)
from attribution.index.scan import Candidates, exact_scores, rank, scan
from attribution.index.segment import Codes, Segment, cut
from attribution.index.sizing import Sizing
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
        parts: slices of a row, side by side.
        base: rows in the order of their ids.
        structure: finds candidates in the base; None where the base is scanned.
        tail: rows added since the base was built; always scanned.
        names: collection names by code.
        generation: the last change these rows reflect.
        touched: the last change of each collection that had any since the index was opened.
    """

    parts: tuple[Part, ...]
    base: Segment
    structure: Structure | None
    tail: Segment
    names: tuple[str, ...]
    generation: int
    touched: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, parts: tuple[Part, ...]) -> Self:
        """No rows, before the first change."""
        nothing = Segment.by_id(
            np.empty(0, np.int64),
            cut(np.empty((0, parts[-1].stop), np.float32), parts),
            np.empty(0, np.int32),
        )
        return cls(parts, nothing, None, nothing, (), 0)

    def holds(self, ids: Ids, vectors: Vectors, codes: Codes) -> Mask:
        """(m,) rows that adding would not change: replayed, or embedded by a further encoder."""
        held = np.zeros(len(ids), np.bool_)
        for segment in (self.base, self.tail):
            at = segment.locate(ids)
            same = segment.codes[at[at >= 0]] == codes[at >= 0]
            same &= (segment.rows(at[at >= 0]) == vectors[at >= 0]).all(axis=1)
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
        place = self.parts.index(part)
        base, tail = self.base.matrices[place], self.tail.matrices[place]
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
        rows, mask = self.base.matrices[self.parts.index(part)], self.base.mask(wanted)
        if self.structure is None or self._is_scanned(mask, wanted, k, sizing):
            return scan(queries, rows, mask, k)
        _, positions = self.structure.nominate(part.name, queries, sizing.nominated(k))
        counted = positions >= 0
        if mask is not None:
            counted &= mask[positions]
        short = counted.sum(axis=1) < k
        query, column = np.nonzero(counted & ~short[:, None])
        position = positions[query, column]
        if short.any():
            # Many of those that are proposed may be dead. That must not cost hits, so these
            # queries are scanned.
            rest = scan(queries[short], rows, mask, k)
            query = np.concatenate([query, np.flatnonzero(short)[rest.query]])
            position = np.concatenate([position, rest.position])
        return Candidates(query, position)

    def scanned(
        self, k: int, collections: frozenset[str] | None, sizing: Sizing
    ) -> tuple[Stretch, ...]:
        """Base and tail; the structure proposes where the base is not scanned."""
        wanted = self._wanted(collections)
        in_base = self.base.mask(wanted)
        structure = self.structure
        if structure is not None and self._is_scanned(in_base, wanted, k, sizing):
            structure = None
        return (
            Stretch(self.base.ids, self.base.matrices, in_base, structure, sizing.nominated(k)),
            Stretch(self.tail.ids, self.tail.matrices, self.tail.mask(wanted)),
        )

    def _is_scanned(self, mask: Mask | None, wanted: Mask | None, k: int, sizing: Sizing) -> bool:
        allowed = len(self.base) if mask is None else int(np.count_nonzero(mask))
        return wanted is not None or sizing.scans(allowed) or allowed <= sizing.nominated(k)

    def vectors(self, ids: Ids, part: Part | None = None) -> Vectors:
        """(m, d) float32 rows of the ids, in the order asked; raises VectorsMissing."""
        in_base, in_tail = self.base.locate(ids), self.tail.locate(ids)
        missing = ids[(in_base < 0) & (in_tail < 0)]
        if len(missing):
            raise VectorsMissing(missing.tolist())
        places = range(len(self.parts)) if part is None else [self.parts.index(part)]
        found = [self._gathered(place, in_base, in_tail) for place in places]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

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
        live = [(segment, segment.live) for segment in (self.base, self.tail)]
        return Segment.by_id(
            np.concatenate([segment.ids[alive] for segment, alive in live]),
            tuple(
                np.concatenate([segment.matrices[place][alive] for segment, alive in live])
                for place in range(len(self.parts))
            ),
            np.concatenate([segment.codes[alive] for segment, alive in live]),
        )

    def contents(self) -> Contents:
        """All live rows by ascending id."""
        rows = self.compacted()
        vectors = np.concatenate(rows.matrices, axis=1)
        return Contents(rows.ids, vectors, tuple(self.names[code] for code in rows.codes))

    def _gathered(self, place: int, in_base: Ids, in_tail: Ids) -> Vectors:
        """Rows of one part from where they lie, of ids that are each in one of the two."""
        base, tail = self.base.matrices[place], self.tail.matrices[place]
        if (in_base >= 0).all():
            return base[in_base]
        rows = np.empty((len(in_base), base.shape[1]), np.float32)
        rows[in_base >= 0] = base[in_base[in_base >= 0]]
        rows[in_tail >= 0] = tail[in_tail[in_tail >= 0]]
        return rows

    def _wanted(self, collections: frozenset[str] | None) -> Mask | None:
        if collections is None:
            return None
        return np.array([name in collections for name in self.names], dtype=np.bool_)

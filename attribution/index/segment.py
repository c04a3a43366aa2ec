"""Rows side by side with their ids and collections: a base, or the tail of what came after it.

It must not know how rows are searched. A segment is immutable. The tail grows in a buffer whose
written rows never change, so that every segment cut from it stays as it was.

Rows lie apart by part, each part's columns in a matrix of its own: parts are compared one by one,
and a product with a matrix that lies in one piece is several times quicker than with a slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from attribution.index.protocol import Ids, Mask, Vectors
from models.parts import Part

Codes = NDArray[np.int32]
Matrices = tuple[Vectors, ...]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """n rows; an id is live at most once.

    Attributes:
        ids: (n,) int64 vector ids.
        matrices: (n, d') float32 of each part, each in one piece.
        codes: (n,) int32 collection of each row, as a number.
        live: (n,) bool, False where the row was removed or replaced.
        ascending: ids rise strictly, so one can be found by bisection.
    """

    ids: Ids
    matrices: Matrices
    codes: Codes
    live: Mask
    ascending: bool

    @classmethod
    def by_id(cls, ids: Ids, matrices: Matrices, codes: Codes) -> Self:
        """All-live rows, put in the order of their ids."""
        if (np.diff(ids) <= 0).any():
            order = np.argsort(ids, kind="stable")
            ids, codes = ids[order], codes[order]
            matrices = tuple(matrix[order] for matrix in matrices)
        return cls(ids, matrices, codes, np.ones(len(ids), np.bool_), ascending=True)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def removed(self) -> int:
        """How many rows are dead."""
        return len(self) - int(np.count_nonzero(self.live))

    def rows(self, positions: Ids) -> Vectors:
        """(m, d) whole rows."""
        return np.concatenate([matrix[positions] for matrix in self.matrices], axis=1)

    def locate(self, ids: Ids) -> Ids:
        """(m,) position of the live row of each id, -1 where there is none."""
        order = None if self.ascending else self._live_by_id()
        known = self.ids if order is None else self.ids[order]
        if not len(known):
            return np.full(len(ids), -1, np.int64)
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        position = place if order is None else order[place]
        return np.where((known[place] == ids) & self.live[position], position, -1)

    def _live_by_id(self) -> Ids:
        """Positions of live rows by id, for a tail with a replaced row or ids out of order."""
        live = np.flatnonzero(self.live)
        return live[np.argsort(self.ids[live], kind="stable")]

    def without(self, positions: Ids) -> Self:
        """The same rows with those at these positions dead."""
        if not len(positions):
            return self
        live = self.live.copy()
        live[positions] = False
        return replace(self, live=live)

    def mask(self, wanted: Mask | None) -> Mask | None:
        """Rows that are live and of a wanted collection (None: any); None where all rows count."""
        if wanted is not None:
            return self.live & wanted[self.codes]
        return None if self.live.all() else self.live


class Tail:
    """The writer's buffer of rows added since the base was built. One writer at a time."""

    def __init__(self, dimensions: Sequence[int]) -> None:
        """Empty, for parts of these dimensions."""
        self._length = 0
        self._ids: Ids = np.empty(0, np.int64)
        self._matrices = tuple(np.empty((0, dimension), np.float32) for dimension in dimensions)
        self._codes: Codes = np.empty(0, np.int32)

    @classmethod
    def holding(cls, segment: Segment) -> Self:
        """A buffer that starts with a copy of these rows, dead ones included."""
        tail = cls([matrix.shape[1] for matrix in segment.matrices])
        tail._write(segment.ids, segment.matrices, segment.codes)
        return tail

    def extend(self, segment: Segment, ids: Ids, matrices: Matrices, codes: Codes) -> Segment:
        """The segment last cut from this buffer, with live rows after its own."""
        if not len(ids):
            return segment
        self._write(ids, matrices, codes)
        last = segment.ids[-1] if len(segment) else -1
        rising = bool(ids[0] > last and (np.diff(ids) > 0).all())
        return Segment(
            ids=self._ids[: self._length],
            matrices=tuple(matrix[: self._length] for matrix in self._matrices),
            codes=self._codes[: self._length],
            live=np.concatenate([segment.live, np.ones(len(ids), np.bool_)]),
            ascending=segment.ascending and rising,
        )

    def _write(self, ids: Ids, matrices: Matrices, codes: Codes) -> None:
        """Append in place: segments cut before end sooner and never see these rows."""
        start, self._length = self._length, self._length + len(ids)
        if self._length > len(self._ids):
            self._grow(max(64, 2 * self._length), start)
        self._ids[start : self._length] = ids
        self._codes[start : self._length] = codes
        for buffer, matrix in zip(self._matrices, matrices, strict=True):
            buffer[start : self._length] = matrix

    def _grow(self, capacity: int, used: int) -> None:
        self._ids = _grown(self._ids, capacity, used)
        self._codes = _grown(self._codes, capacity, used)
        self._matrices = tuple(_grown(matrix, capacity, used) for matrix in self._matrices)


def cut(rows: Vectors, parts: Sequence[Part]) -> Matrices:
    """(n, d) whole rows as a matrix in one piece of each part."""
    return tuple(np.ascontiguousarray(rows[:, part.columns], np.float32) for part in parts)


def _grown(array: NDArray[Number], capacity: int, used: int) -> NDArray[Number]:
    larger = np.empty((capacity, *array.shape[1:]), array.dtype)
    larger[:used] = array[:used]
    return larger

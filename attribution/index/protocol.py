"""What an index is, whatever holds the vectors: the protocol and the frozen types that cross it.

It must not know FAISS, files or the catalog: a backend for several machines implements the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.parts import Part

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]


class VectorsMissing(LookupError):
    """Asked for the rows of vector ids that the index does not hold (never added, or removed)."""

    def __init__(self, vector_ids: Sequence[int]) -> None:
        self.vector_ids = tuple(vector_ids)
        super().__init__(f"the index does not hold {len(self.vector_ids)} of the vector ids asked")


class IndexUnavailable(RuntimeError):
    """The index is out of reach, or cannot be used as it is set; the message says what to do."""


class IndexLost(IndexUnavailable):
    """What holds the rows answers, and holds them no more: the index must be opened again."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The k best vectors of each query: score descending, equal scores by ascending id.

    Attributes:
        ids: (n, k) int64, -1 where a query has fewer than k.
        scores: (n, k) float32 exact inner products, -inf where a query has fewer than k.
    """

    ids: Ids
    scores: Vectors


class Proposer(Protocol):
    """Says quickly which rows of a stretch are worth comparing."""

    def nominate(self, part: str, queries: Vectors, count: int) -> tuple[Vectors, Ids]:
        """`(n, count)` about how (n, d') queries score with likely rows, and their positions.

        Positions are -1 where there are fewer.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Rows side by side, as an index holds them at one moment; nothing of it ever changes.

    Attributes:
        ids: (n,) int64.
        parts: (n, d') float32 of each part in the encoder's order, each in one piece.
        mask: (n,) rows that count; None is all.
        proposer: who of them to compare; None for all.
        proposed: how many it is asked for, for each part of each view of a query.
    """

    ids: Ids
    parts: tuple[Vectors, ...]
    mask: Mask | None
    proposer: Proposer | None = None
    proposed: int = 0


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Adds and removes of consecutive generations, which searches see all at once.

    An id added again replaces its row. An id both added and removed ends removed: vector ids are
    never reused, so the removal is the later of the two. Removing an unknown id does nothing.

    Attributes:
        generation: the last change in the batch; the index stands there once it is applied.
        add_ids: (m,) int64, each at most once.
        add_vectors: (m, d) float32, finite.
        add_collections: the collection of each added vector.
        remove_ids: (r,) int64.
    """

    generation: int
    add_ids: Ids
    add_vectors: Vectors
    add_collections: tuple[str, ...]
    remove_ids: Ids

    def __post_init__(self) -> None:
        if self.add_ids.ndim != 1 or self.remove_ids.ndim != 1 or self.add_vectors.ndim != 2:
            raise ValueError("a change batch holds ids (m,), vectors (m, d) and removed ids (r,)")
        if not len(self.add_ids) == len(self.add_vectors) == len(self.add_collections):
            raise ValueError("a change batch needs one vector and one collection for each added id")
        if len(np.unique(self.add_ids)) != len(self.add_ids):
            raise ValueError("a change batch adds an id twice: keep only its last vector")
        if not np.isfinite(self.add_vectors).all():
            raise ValueError("a change batch holds vectors that are not finite")


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Where an index stands and how well it finds.

    Attributes:
        kind: structure of the base: "flat" or "pq" for the embedded index, "milvus" for the one of
            several machines, all of whose rows count as its base.
        vectors: vectors that a search can find.
        base: rows of the base, dead ones included.
        tail: rows added since the base was built, dead ones included.
        removed: dead rows that wait for compaction, base and tail together.
        generation: the last change applied.
        epoch: the catalog's epoch that the generations count in.
        model_id: the encoder that made the vectors.
        dimension: floats a row.
        recall_at_10: share of the exact ten nearest that the base proposes, measured on a sample of
            its own vectors when it was built, the worst over the parts; None where the base is
            scanned, which is exact.
    """

    kind: str
    vectors: int
    base: int
    tail: int
    removed: int
    generation: int
    epoch: str
    model_id: str
    dimension: int
    recall_at_10: float | None = None


class EmbeddingSpace(Protocol):
    """What an index has to know of an encoder; `models.Encoder` is one."""

    @property
    def model_id(self) -> str:
        """Names the encoder and its weights."""

    @property
    def dimension(self) -> int:
        """Floats a row, all parts together."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Slices of a row that are compared on their own, each of unit length."""


class Index(EmbeddingSpace, Protocol):
    """Nearest vectors by inner product in such a space, following the catalog's changes."""

    @property
    def epoch(self) -> str:
        """The catalog's epoch that the generations count in."""

    @property
    def generation(self) -> int:
        """The last change applied."""

    @property
    def clean_generation(self) -> int:
        """No row of what was removed up to this change is held, not even a dead one."""

    def apply(self, batch: ChangeBatch) -> None:
        """Publish a batch: every search sees all of it or none.

        Raises:
            ValueError: vectors of another dimension, or a generation that goes back.
            IndexUnavailable: it cannot be written; applied again, the batch is whole.
        """

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        part: str | None = None,
        collections: frozenset[str] | None = None,
    ) -> Hits:
        """The k best of each query among the named collections (all of them when None).

        Args:
            queries: (n, d) float32 whole rows, whichever part is searched.
            k: hits a query, at least 1.
            part: whose slice to compare; may be None only where there is one part.
            collections: searched set; unknown names hold nothing. A filter never costs hits: each
                query gets min(k, size of the filtered set).

        Raises:
            ValueError: wrong shape, not finite, k below 1, unknown part, or part missing.
            IndexUnavailable: it cannot be asked.
        """

    def scanned(
        self, k: int, *, collections: frozenset[str] | None = None
    ) -> tuple[Stretch, ...] | None:
        """Every row that may be among the k best, for whoever compares them himself.

        That is exact, and takes no more than one product a part for any number of queries, where a
        stretch has no proposer; a filtered set never has one. None where rows are not at hand: ask
        `search` then.

        Args:
            k: rows wanted of each query.
            collections: searched set; None for all.
        """

    def vectors(self, ids: Sequence[int] | Ids, *, part: str | None = None) -> Vectors:
        """(m, d) float32 exact rows, in the order asked; of one part (m, d') where it is named.

        Raises:
            ValueError: unknown part.
            VectorsMissing: some ids are not held.
        """

    def changed(self, collections: frozenset[str]) -> int:
        """The last change that touched a vector of these; 0 for none since the index was opened.

        Whatever was worked out for these collections at that generation or later still holds.
        """

    def count(self, collections: frozenset[str]) -> int:
        """How many vectors of these collections a search can find."""

    def stats(self) -> IndexStats:
        """Sizes, generation, and measured recall."""

    def compact(self) -> None:
        """Let go of dead rows; searches and changes go on meanwhile."""

    def trouble(self) -> str | None:
        """Why the index cannot be asked at the moment, in words; None where it can be."""

"""Searches of rows that are in Milvus: it proposes, and rows of the catalog say what they score.

Knows not who writes Milvus, neither files nor HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribution.catalog import Catalog
from attribution.index.checks import check_parts, part_named, slices_asked
from attribution.index.milvus.held import LISTS, MOST, Held, State
from attribution.index.milvus.rows import StoredRows
from attribution.index.protocol import (
    EmbeddingSpace,
    Hits,
    Ids,
    IndexStats,
    Stretch,
    Vectors,
    VectorsMissing,
)
from attribution.index.scan import MARGIN, Candidates, exact_scores, rank
from models.parts import Part

_SPARE = 32  # proposals beyond the k-th, among which ties of it are


class MilvusSearch:
    """All of an index but who changes it: rows in Milvus are searched as of a state.

    A search sees no batch in part: what is above `State.last_id` was added by one that is not
    applied yet, and does not count. What is removed the catalog holds no row of any more, so it
    is in no answer from the moment of its deletion, whatever Milvus says.

    Args:
        catalog: has the rows.
        space: the encoder, as far as an index knows one.
        held: where the vectors are.
        state: how far it has got.
    """

    def __init__(self, catalog: Catalog, space: EmbeddingSpace, held: Held, state: State) -> None:
        check_parts(space.parts, space.dimension)
        self.parts = tuple(space.parts)
        self.dimension = space.dimension
        self.model_id = space.model_id
        self.epoch = catalog.epoch
        self._catalog, self._held, self._state = catalog, held, state
        self._rows = StoredRows(catalog, space.model_id, space.dimension)
        self._count = held.count()

    @property
    def state(self) -> State:
        """How far it has got, with what searches must know besides."""
        return self._state

    @property
    def generation(self) -> int:
        """The last change that searches see."""
        return self._state.generation

    @property
    def clean_generation(self) -> int:
        """What is removed is deleted at once; when its bytes go is Milvus's affair."""
        return self._state.generation

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        part: str | None = None,
        collections: frozenset[str] | None = None,
    ) -> Hits:
        """The k best of each query. See `Index.search`.

        A filtered set is compared row by row, for an answer within some collections must tell
        nothing of what lies in others.
        """
        chosen = part_named(self.parts, part)
        slices = slices_asked(queries, self.dimension, chosen, k)
        hits = Hits(
            np.full((len(slices), k), -1, np.int64), np.full((len(slices), k), -np.inf, np.float32)
        )
        lists = self._state.lists if collections is None else LISTS
        waiting, limit = np.arange(len(slices)), min(k + _SPARE, MOST)
        while len(waiting):
            asked = slices[waiting]
            ids, scores = self._held.search(
                chosen, asked, limit, lists=lists, collections=collections
            )
            found, settled = self._exact(chosen, asked, ids, scores, k)
            hits.ids[waiting], hits.scores[waiting] = found.ids, found.scores
            if lists == LISTS:
                settled |= (ids < 0).any(axis=1)  # that is all there is
                if limit == MOST:
                    break
            waiting = waiting[~settled]
            # More of it: first of every list, then beyond what ties or is not there any more.
            limit, lists = (min(2 * limit, MOST), lists) if lists == LISTS else (limit, LISTS)
        return hits

    def _exact(
        self, part: Part, queries: Vectors, ids: Ids, scores: Vectors, k: int
    ) -> tuple[Hits, np.ndarray]:
        """The k best of what was proposed by exact scores; for which queries no other can be."""
        last_id = self._state.last_id
        known, rows = self._rows.of(np.unique(ids[(ids >= 0) & (ids <= last_id)]))
        if not len(known):
            n = len(queries)
            nobody = Hits(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))
            return nobody, np.zeros(n, np.bool_)
        places = np.searchsorted(known, ids).clip(max=len(known) - 1)
        held = known[places] == ids
        query, column = np.nonzero(held)
        position = places[query, column]
        matrix = np.ascontiguousarray(rows[:, part.columns])
        exact = exact_scores(queries, matrix, Candidates(query, position))
        hits = rank(len(queries), k, query, known[position], exact)
        # Whoever was not proposed has, in Milvus's arithmetic, no more than the last who was.
        return hits, np.asarray(hits.scores[:, -1] > scores[:, -1] + 2 * MARGIN, np.bool_)

    def scanned(
        self,
        k: int,  # noqa: ARG002 (the protocol's)
        *,
        collections: frozenset[str] | None = None,  # noqa: ARG002
    ) -> tuple[Stretch, ...] | None:
        """None: rows are not at hand here."""
        return None

    def vectors(self, ids: Sequence[int] | Ids, *, part: str | None = None) -> Vectors:
        """(m, d) float32 exact rows, in the order asked. See `Index.vectors`."""
        columns = slice(None) if part is None else part_named(self.parts, part).columns
        asked = np.asarray(ids, dtype=np.int64)
        distinct, place = np.unique(asked, return_inverse=True)
        held, rows = self._rows.of(distinct)
        if len(held) < len(distinct):
            raise VectorsMissing(np.setdiff1d(distinct, held).tolist())
        return np.ascontiguousarray(rows[:, columns][place])

    def changed(self, collections: frozenset[str]) -> int:
        """The last change of these collections. See `Index.changed`."""
        return self._catalog.last_change(collections, until=self.generation)

    def count(self, collections: frozenset[str]) -> int:
        """How many vectors of these collections a search can find."""
        return self._held.count(collections)

    def stats(self) -> IndexStats:
        """Sizes as of the last change, generation, and measured recall."""
        state = self._state
        return IndexStats(
            kind="milvus",
            vectors=self._count,
            base=self._count,
            tail=0,
            removed=0,
            generation=state.generation,
            epoch=self.epoch,
            model_id=self.model_id,
            dimension=self.dimension,
            recall_at_10=state.recall_at_10,
        )

    def compact(self) -> None:
        """Ask Milvus to let go of what was deleted."""
        self._held.compact()

    def trouble(self) -> str | None:
        """Why Milvus cannot be asked; None where it can."""
        return self._held.server.trouble()

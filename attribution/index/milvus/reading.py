"""The index of a process that only reads: another writes Milvus, and says how far it has got.

Knows not how that is said, neither files nor HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attribution.catalog import Catalog, CatalogError
from attribution.index.checks import check_change
from attribution.index.milvus.held import Held, State
from attribution.index.milvus.searching import MilvusSearch
from attribution.index.protocol import ChangeBatch, EmbeddingSpace, Hits, IndexUnavailable, Vectors


class MilvusReader(MilvusSearch):
    """Sees a batch once whoever writes has published it.

    Args:
        catalog: has the rows.
        space: the encoder, as far as an index knows one.
        held: where the vectors are.
        state: as it is published when this begins.
        newest: what is published now; raises IndexUnavailable for nothing.
    """

    def __init__(
        self,
        catalog: Catalog,
        space: EmbeddingSpace,
        held: Held,
        state: State,
        newest: Callable[[], State],
    ) -> None:
        super().__init__(catalog, space, held, state)
        self._newest = newest

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        part: str | None = None,
        collections: frozenset[str] | None = None,
    ) -> Hits:
        """The k best of each query. See `Index.search`.

        What is found while whoever writes fills Milvus from the start would be half of it.
        """
        hits = super().search(queries, k, part=part, collections=collections)
        self._newest()
        return hits

    def trouble(self) -> str | None:
        """Why it cannot be asked; None where it can."""
        try:
            self._newest()
        except IndexUnavailable as error:
            return str(error)
        except CatalogError:  # which is told of by itself
            pass
        return super().trouble()

    def apply(self, batch: ChangeBatch) -> None:
        """See a batch that is in Milvus already. See `Index.apply`."""
        state, newest = self._state, self._newest()
        check_change(
            batch.add_vectors, self.dimension, present=state.generation, wanted=batch.generation
        )
        last_id = max(state.last_id, int(batch.add_ids.max(initial=0)))
        count = self._held.count()
        self._rows.forget([*batch.remove_ids.tolist(), *batch.add_ids.tolist()])
        self._count = count
        self._state = replace(
            newest, generation=batch.generation, last_id=min(last_id, newest.last_id)
        )

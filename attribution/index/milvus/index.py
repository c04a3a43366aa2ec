"""The index of the process that writes Milvus: changes go there before its searches see them.

Knows neither files nor HTTP.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import numpy as np

from attribution.catalog import Catalog, CatalogError
from attribution.index.checks import check_change
from attribution.index.milvus.held import LISTS, Held, State
from attribution.index.milvus.recall import lists_needed
from attribution.index.milvus.searching import MilvusSearch
from attribution.index.protocol import ChangeBatch, EmbeddingSpace, IndexUnavailable
from attribution.index.sizing import Sizing

logger = logging.getLogger(__name__)

_GROWN = 1.2  # times the rows there were when recall was measured, from which it is again


class MilvusIndex(MilvusSearch):
    """Follows the catalog's changes in Milvus, where other processes search the same rows.

    Args:
        catalog: has the rows.
        space: the encoder, as far as an index knows one.
        held: where the vectors are; filled.
        state: how far it has got.
        sizing: from how many rows on not all are compared, and with what recall.
    """

    def __init__(
        self, catalog: Catalog, space: EmbeddingSpace, held: Held, state: State, sizing: Sizing
    ) -> None:
        super().__init__(catalog, space, held, state)
        self._sizing = sizing
        self._writing = threading.Lock()
        self._measure_if_due()

    def apply(self, batch: ChangeBatch) -> None:
        """Publish a batch: searches here see all of it or none. See `Index.apply`.

        Whatever process applies a batch of the catalog's log again leaves the same behind, so one
        that was cut short is applied again, by this process or the next.
        """
        with self._writing:
            state = self._state
            check_change(
                batch.add_vectors, self.dimension,
                present=state.generation, wanted=batch.generation,
            )  # fmt: skip
            fresh = ~np.isin(batch.add_ids, batch.remove_ids)
            self._held.remove(batch.remove_ids)
            self._held.put(
                batch.add_ids[fresh],
                batch.add_vectors[fresh],
                [name for name, new in zip(batch.add_collections, fresh, strict=True) if new],
            )
            last_id = max(state.last_id, int(batch.add_ids.max(initial=0)))
            reached = replace(state, generation=batch.generation, last_id=last_id)
            self._held.record(reached)
            count = self._held.count()
            self._rows.forget([*batch.remove_ids.tolist(), *batch.add_ids.tolist()])
            self._state, self._count = reached, count
            # From here on nothing may fail: who follows this index would miss the batch.
            try:
                self._measure_if_due()
            except (IndexUnavailable, CatalogError) as error:
                logger.warning("recall is measured another time: %s", error)

    def _measure_if_due(self) -> None:
        """Find anew how many lists to read, where so many rows came that it may be others."""
        state, count = self._state, self._count
        if self._sizing.scans(count):
            measured = replace(state, lists=LISTS, recall_at_10=None, measured_at=count)
        elif count <= _GROWN * state.measured_at:
            return
        else:
            lists, recall = lists_needed(self._catalog, self._held, self.model_id, self._sizing)
            logger.info("searches read %d of %d lists; recall at ten: %s", lists, LISTS, recall)
            measured = replace(state, lists=lists, recall_at_10=recall, measured_at=count)
        if measured.lists != state.lists or measured.recall_at_10 != state.recall_at_10:
            self._held.record(measured)
        self._state = measured

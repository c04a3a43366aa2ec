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
from attribution.index.follower import logged_batches
from attribution.index.milvus.drift import drift_of, mend
from attribution.index.milvus.held import LISTS, Held, State
from attribution.index.milvus.recall import lists_needed
from attribution.index.milvus.searching import MilvusSearch
from attribution.index.protocol import ChangeBatch, EmbeddingSpace, IndexLost, IndexUnavailable
from attribution.index.sizing import Sizing

logger = logging.getLogger(__name__)

_GROWN = 1.2  # times the rows there were when recall was measured, from which it is again

_WRITING = threading.Lock()
"""One write of this process at a time: while a lease is had again, or a background is taken up,
two of these follow one collection, and the second is to find what the first has written."""


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
        self._returns = held.server.returns
        self._measure_if_due()

    def apply(self, batch: ChangeBatch) -> None:
        """Publish a batch: searches here see all of it or none. See `Index.apply`.

        Whatever process applies a batch of the catalog's log again leaves the same behind, so one
        that was cut short is applied again, by this process or the next. What Milvus has already
        is not written again.

        Raises:
            IndexLost: Milvus holds the rows no more, or is being filled with them.
        """
        with _WRITING:
            state = self._state
            check_change(
                batch.add_vectors, self.dimension,
                present=state.generation, wanted=batch.generation,
            )  # fmt: skip
            recorded = self._brought_back(state)
            last_id = max(state.last_id, int(batch.add_ids.max(initial=0)))
            reached = replace(state, generation=batch.generation, last_id=last_id)
            if recorded.generation < batch.generation:
                self._write(batch)
                self._held.record(reached)
            self._mend_after_return()
            count = self._held.count()
            self._rows.forget([*batch.remove_ids.tolist(), *batch.add_ids.tolist()])
            self._state, self._count = reached, count
            # From here on nothing may fail: who follows this index would miss the batch.
            try:
                self._measure_if_due()
            except (IndexUnavailable, CatalogError) as error:
                logger.warning("recall is measured another time: %s", error)

    def settle(self) -> None:
        """Make sure that Milvus holds what it had acknowledged, unless it is away.

        It may have lost that while it was away, or by the hand of a process that began to fill it
        while it had the lease, and stood still until another had filled it.

        Raises:
            IndexUnavailable: it goes away, or holds the rows no more.
        """
        if self._held.server.trouble() is not None:
            return
        with _WRITING:
            self._brought_back(self._state)
            if self._held.server.returns != self._returns:
                self._mend_after_return()
                self._count = self._held.count()

    def _brought_back(self, state: State) -> State:
        """How far Milvus is by its own account, brought to `state` where it is not so far."""
        recorded = self._held.state()
        if recorded is None or not recorded.whole:
            raise IndexLost(
                f"{self._held.server.place} does not hold the rows of encoder {self.model_id} any "
                "more: whoever writes them fills it from the catalog"
            )
        if recorded.generation >= state.generation:
            return recorded
        logger.warning(
            "%s has gone back from generation %d to %d: what it lacks is written again",
            self._held.server.place, state.generation, recorded.generation,
        )  # fmt: skip
        for missed in logged_batches(self._catalog, self, recorded.generation, state.generation):
            self._write(missed)
        self._held.record(state)
        return state

    def _mend_after_return(self) -> None:
        """Write what a Milvus that was away has lost, though it says that it has it."""
        returns = self._held.server.returns
        if returns == self._returns:
            return
        recorded = self._held.state()
        latest = recorded is not None and recorded.generation == self._catalog.generation()
        wanted = self._catalog.encoders.coverage(self.model_id).embedded
        if not latest or self._held.count() != wanted:
            drift = drift_of(self._catalog, self._held, self.model_id)
            if drift is not None and drift.found:
                logger.warning(
                    "%s has come back without %d rows that it had acknowledged",
                    self._held.server.place, len(drift.lacking),
                )  # fmt: skip
                mend(self._catalog, self._held, self.model_id, drift)
        self._returns = returns

    def _write(self, batch: ChangeBatch) -> None:
        fresh = ~np.isin(batch.add_ids, batch.remove_ids)
        self._held.remove(batch.remove_ids)
        self._held.put(
            batch.add_ids[fresh],
            batch.add_vectors[fresh],
            [name for name, new in zip(batch.add_collections, fresh, strict=True) if new],
        )

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

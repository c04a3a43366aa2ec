"""Keeps an index in step with the catalog: reads its changes in order and applies them in batches.

It must not know which index it feeds, nor HTTP. Any number of threads may ask it to catch up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from attribution.catalog import Catalog, Change, EmbeddingsMissing
from attribution.index.protocol import ChangeBatch, Index, Vectors

log = logging.getLogger(__name__)

BATCH = 1000  # changes read at once
PATIENCE = 0.02  # seconds between looks at the catalog while waiting for a generation
LONGEST_PAUSE = 30.0  # seconds between attempts while they fail

Subscriber = Callable[[ChangeBatch], None]


class Follower:
    """Applies the catalog's changes to one index, on demand or from a thread of its own."""

    def __init__(
        self,
        catalog: Catalog,
        index: Index,
        model_id: str,
        *,
        bound: Callable[[], int] | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            catalog: whose changes.
            index: that they are applied to.
            model_id: of the encoder that made its vectors.
            bound: the last change that may be applied now; None for the catalog's last.

        Raises:
            ValueError: the index holds another encoder's vectors or counts in another epoch.
        """
        if index.model_id != model_id:
            raise ValueError(f"the index holds vectors of {index.model_id!r}, not of {model_id!r}")
        if index.epoch != catalog.epoch:
            raise ValueError("the catalog was restored since this index was built: open it again")
        self._catalog = catalog
        self._index = index
        self._model_id = model_id
        self._bound = bound
        self._subscribers: list[Subscriber] = []
        self._applying = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: Exception | None = None

    @property
    def lag(self) -> int:
        """How many generations the index is behind the catalog."""
        return max(0, self._catalog.generation() - self._index.generation)

    @property
    def failed(self) -> Exception | None:
        """What stopped the thread's last attempt; None once an attempt succeeds."""
        return self._failed

    def on_change(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every batch right after it is applied, before the next is.

        It runs in the applying thread. One that raises is logged and has missed that batch; the
        index goes on, for a removed source must leave the answers whatever else fails.
        """
        with self._applying:
            self._subscribers.append(subscriber)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Within the block the index stays at its generation; whoever wants it further waits."""
        with self._applying:
            yield

    def catch_up(self, patience: float = -1) -> int:
        """Apply every change there is and return the generation reached.

        Unless others apply for all of `patience` seconds, at any one batch; -1 for no limit.
        """
        while self._apply_some(patience=patience):
            pass
        return self._index.generation

    def wait_for(self, generation: int, timeout: float) -> bool:
        """Catch up until the index has seen `generation`; False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._index.generation < generation:
            more = self._apply_some(patience=max(0.0, deadline - time.monotonic()))
            if self._index.generation >= generation:
                break
            if (left := deadline - time.monotonic()) <= 0:
                return False
            if not more:
                time.sleep(min(PATIENCE, left))
        return True

    def start(self, interval: float = 0.5) -> None:
        """Follow from a thread: catch up every `interval` seconds until `stop`."""
        if self._thread is not None:
            raise RuntimeError("this follower runs already: stop it first")
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._run, args=(interval,), name="index-follower", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the batch it is applying. Does nothing where none runs."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, interval: float) -> None:
        pause = interval
        while not self._stopping.is_set():
            try:
                while self._apply_some() and not self._stopping.is_set():
                    pass
                self._failed, pause = None, interval
            except Exception as error:
                # Whatever broke (a locked database, a full memory) may pass; the thread must not
                # die of it while the service looks healthy. `failed` and `lag` tell.
                self._failed, pause = error, min(LONGEST_PAUSE, 2 * pause)
                log.exception("could not follow the catalog; trying again in %.1f s", pause)
            self._stopping.wait(pause)

    def _apply_some(self, *, patience: float = -1) -> bool:
        """Apply one batch, and say whether the catalog may hold more.

        It does not where the batch was no full one and had all that it announced: what is gone was
        deleted by a later change. False too where others applied for all our patience.
        """
        if not self._applying.acquire(timeout=patience):
            return False
        try:
            changes = self._catalog.changes(self._index.generation, limit=BATCH)
            if self._bound is not None and changes:
                last = self._bound()
                changes = tuple(change for change in changes if change.generation <= last)
            if not changes:
                return False
            batch = _batch_of(
                self._catalog, self._index, changes, generation=changes[-1].generation
            )
            self._index.apply(batch)
            self._tell(batch)
            announced = sum(change.operation == "add" for change in changes)
            return len(changes) == BATCH or len(batch.add_ids) < announced
        finally:
            self._applying.release()

    def _tell(self, batch: ChangeBatch) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(batch)
            except Exception:
                log.exception("a subscriber failed on the changes up to %d", batch.generation)


def missed_changes(
    catalog: Catalog, index: Index, generation: int, *, most: int
) -> ChangeBatch | None:
    """The net effect of the changes after a generation that the index has applied already.

    For what was worked out from the index at that generation and kept.

    Args:
        catalog: that the index follows.
        index: at `generation` or later.
        generation: the last change that is known.
        most: changes beyond which it is not worth while to follow; None then.
    """
    reached = index.generation
    logged = catalog.changes(generation, limit=most + 1)
    changes = [change for change in logged if change.generation <= reached]
    if len(changes) > most:
        return None
    return _batch_of(catalog, index, changes, reached)


def logged_ids(catalog: Catalog, after: int) -> NDArray[np.int64]:
    """Vector ids that the log names after a generation, ascending, each once."""
    ids: list[int] = []
    while batch := catalog.changes(after):
        ids.extend(change.vector_id for change in batch)
        after = batch[-1].generation
    return np.unique(np.array(ids, dtype=np.int64))


def logged_batches(catalog: Catalog, index: Index, after: int, until: int) -> Iterator[ChangeBatch]:
    """The changes in `(after, until]` once more, for an index that has applied them before."""
    while changes := [
        change for change in catalog.changes(after, limit=BATCH) if change.generation <= until
    ]:
        after = changes[-1].generation
        yield _batch_of(catalog, index, changes, generation=after)


def _batch_of(
    catalog: Catalog, index: Index, changes: Sequence[Change], generation: int
) -> ChangeBatch:
    """The net effect of consecutive changes: what is added, then removed, is only removed."""
    removed = {change.vector_id for change in changes if change.operation == "remove"}
    added = {
        change.vector_id: change.collection
        for change in changes
        if change.operation == "add" and change.vector_id not in removed
    }
    ids, vectors = _embeddings(catalog, index, added)
    return ChangeBatch(
        generation=generation,
        add_ids=np.array(ids, dtype=np.int64),
        add_vectors=vectors,
        add_collections=tuple(added[vector_id] for vector_id in ids),
        remove_ids=np.array(sorted(removed), dtype=np.int64),
    )


def _embeddings(
    catalog: Catalog, index: Index, vector_ids: Iterable[int]
) -> tuple[list[int], Vectors]:
    """Those of the ids that have an embedding, and their rows.

    One without was deleted after the changes we read, or is not embedded by this encoder yet;
    either way a later change says what becomes of it.
    """
    wanted = sorted(vector_ids)
    while wanted:
        try:
            return wanted, catalog.embeddings(index.model_id, wanted)
        except EmbeddingsMissing as missing:
            gone = set(missing.vector_ids)
            wanted = [vector_id for vector_id in wanted if vector_id not in gone]
    return [], np.empty((0, index.dimension), np.float32)

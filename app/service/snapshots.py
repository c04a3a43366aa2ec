"""Saves the index now and then, and at every clean stop, so that the next start is quick."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from attribution.index import EmbeddedIndex, save_snapshot

logger = logging.getLogger(__name__)


class SnapshotSaver:
    """A thread that saves an index which has changed since its last snapshot.

    A snapshot that fails is logged and tried again at the next turn: the index is a cache, and
    without a snapshot the next start replays or rebuilds. The folder holds that of one index:
    `index` says which one serves, and another encoder's replaces it.
    """

    def __init__(
        self, index: Callable[[], EmbeddedIndex], folder: Path, *, interval: float
    ) -> None:
        self._index = index
        self._folder = folder
        self._interval = interval
        self._saving = threading.Lock()
        self._saved: tuple[str, int] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="index-snapshots", daemon=True)
        self._thread.start()

    def save(self) -> int:
        """Save the index as it stands; the generation saved.

        Raises:
            OSError: the snapshot cannot be written; the one before it still stands.
        """
        with self._saving:
            index = self._index()
            generation = save_snapshot(index, self._folder)
            self._saved = (index.model_id, generation)
            return generation

    def save_clean(self, generation: int) -> int:
        """Save the index without rows of what was removed up to a generation that it has reached.

        Raises:
            OSError: see `save`.
        """
        index = self._index()
        if index.clean_generation < generation:
            index.compact()
        return self.save()

    def close(self) -> None:
        """End the thread, then save what has changed since the last snapshot."""
        self._stopping.set()
        self._thread.join()
        self._save_if_changed()

    def _work(self) -> None:
        while not self._stopping.wait(self._interval):
            self._save_if_changed()

    def _save_if_changed(self) -> None:
        index = self._index()
        if (index.model_id, index.generation) == self._saved:
            return
        try:
            self.save()
        except Exception:
            logger.exception("the index could not be saved")

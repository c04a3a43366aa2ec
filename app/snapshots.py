"""Saves the index now and then, and at every clean stop, so that the next start is quick."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from attribution.index import FaissIndex, save_snapshot

logger = logging.getLogger(__name__)


class SnapshotSaver:
    """A thread that saves an index which has changed since its last snapshot.

    A snapshot that fails is logged and tried again at the next turn: the index is a cache, and
    without a snapshot the next start replays or rebuilds.
    """

    def __init__(self, index: FaissIndex, folder: Path, *, interval: float) -> None:
        self._index = index
        self._folder = folder
        self._interval = interval
        self._saving = threading.Lock()
        self._saved_generation = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="index-snapshots", daemon=True)
        self._thread.start()

    def save(self) -> int:
        """Save the index as it stands; the generation saved.

        Raises:
            OSError: the snapshot cannot be written; the one before it still stands.
        """
        with self._saving:
            self._saved_generation = save_snapshot(self._index, self._folder)
            return self._saved_generation

    def save_clean(self, generation: int) -> int:
        """Save the index without rows of what was removed up to a generation that it has reached.

        Raises:
            OSError: see `save`.
        """
        if self._index.clean_generation < generation:
            self._index.compact()
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
        if self._index.generation == self._saved_generation:
            return
        try:
            self.save()
        except Exception:
            logger.exception("the index could not be saved")

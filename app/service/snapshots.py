"""Saves index and null now and then, and at every clean stop, so that the next start is quick."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.encoders.live import Serving
from attribution.catalog import Catalog
from attribution.catalog.errors import Place
from attribution.index import Companion
from attribution.opening.keeping import save_index

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Saved:
    """What was saved last: whose index, up to where, and beside it whose null."""

    model_id: str
    generation: int
    null: Mapping[str, str | int | float] | None


class SnapshotSaver:
    """A thread that saves an index which has changed since its last snapshot, with its null.

    A null that has taken its time is saved as soon as there is one, for a kill must not cost it.

    A snapshot that fails is logged and tried again at the next turn: the index is a cache, and
    without a snapshot the next start replays or rebuilds. The folder holds that of one index:
    `serving` says which one serves, and another encoder's replaces it.
    """

    def __init__(
        self,
        catalog: Catalog,
        serving: Callable[[], Serving],
        folder: Path,
        *,
        interval: float,
    ) -> None:
        self._catalog = catalog
        self._serving = serving
        self.folder = folder
        self._interval = interval
        self._saving = threading.Lock()
        self._saved: _Saved | None = None
        self.place = Place()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="index-snapshots", daemon=True)
        self._thread.start()

    def save(self) -> int:
        """Save the index as it stands; the generation saved.

        Raises:
            StorageFull, StorageUnwritable: it cannot be; the one before it still stands.
        """
        with self._saving, self.place.writing():
            serving = self._serving()
            null = serving.calibration.kept()
            generation = save_index(self._catalog, serving.index, self.folder, null)
            self._saved = _Saved(serving.index.model_id, generation, _owner(null))
            return generation

    def save_clean(self, generation: int) -> int:
        """Save the index without rows of what was removed up to a generation that it has reached.

        Raises:
            StorageFull, StorageUnwritable: see `save`.
        """
        index = self._serving().index
        if index.clean_generation < generation:
            index.compact()
        return self.save()

    def close(self) -> None:
        """End the thread, then save what has changed since the last snapshot."""
        self._stopping.set()
        self._thread.join()
        self._save_if_changed()

    def _work(self) -> None:
        due, failed = time.monotonic() + self._interval, False
        while not self._stopping.wait(min(self._interval, _LOOK_SECONDS)):
            if time.monotonic() >= due or (not failed and self._null_is_new()):
                failed = not self._save_if_changed()
                due = time.monotonic() + self._interval

    def _null_is_new(self) -> bool:
        """Whether there is a null that was made since the start, and none like it was saved."""
        calibration, saved = self._serving().calibration, self._saved
        return calibration.worth_keeping and (saved is None or saved.null != calibration.owner)

    def _save_if_changed(self) -> bool:
        """False where it should be saved but could not."""
        serving, saved = self._serving(), self._saved
        changed = (
            saved is None
            or saved.model_id != serving.index.model_id
            or saved.generation != serving.index.generation
        )
        try:
            if changed or self._null_is_new():
                self.save()
        except Exception:
            logger.exception("the index could not be saved")
            return False
        return True


def _owner(null: Companion | None) -> Mapping[str, str | int | float] | None:
    return None if null is None else null.owner

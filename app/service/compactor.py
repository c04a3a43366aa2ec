"""Erases what was taken down from the data folder, soon after, whoever took it down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from attribution.catalog import Catalog, CatalogError
from attribution.index import holds_removed
from attribution.maintenance import still_there

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_SWEEP_SECONDS = 60.0
_FOLLOW_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 60.0


class Compactor:
    """A thread that compacts the catalog when that is due, and has a clean index snapshot saved.

    That it is due is in the catalog: takedowns of other processes are found, and one that a crash
    has cut short is finished after the next start.
    """

    def __init__(
        self,
        catalog: Catalog,
        wait_for: Callable[[int, float], bool],
        save_clean: Callable[[int], int],
        snapshots: Path,
        *,
        compact_apart: Callable[[], object] | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Use `start`.

        Args:
            catalog: asked what is due.
            wait_for: brings the index to where the removals are, in so many seconds or not.
            save_clean: saves the index without what was removed up to a generation.
            snapshots: the folder that it saves to.
            compact_apart: has an index that lies elsewhere let go of what was removed.
            leads: whether it is this process that tidies up, rather than another on the catalog.
        """
        self._catalog, self._wait_for = catalog, wait_for
        self._save_clean, self._snapshots, self._leads = save_clean, snapshots, leads
        self._compact_apart, self._compacted_apart = compact_apart, 0
        self._wake = threading.Event()
        self._stopping = False
        self._trouble: str | None = None
        self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._work, name="compaction", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """What was deleted and could not be taken off the disk, in words; None where nothing is."""
        return self._trouble

    def wake(self) -> None:
        """Look now: something has just been taken down."""
        self._wake.set()

    def close(self) -> None:
        """End the thread after the compaction under way; what is due stays due."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        pause = _LOOK_SECONDS
        while not self._stopping:
            left = [words for step in self._steps() if (words := self._tried(step))]
            left += self._still_there()
            self._trouble = "; ".join(dict.fromkeys(left)) or None
            # What fails once more costs as much as it did: a whole database may be written anew.
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if self._trouble else _LOOK_SECONDS
            self._wake.wait(pause)
            self._wake.clear()

    def _steps(self) -> tuple[Callable[[], object], ...]:
        if not self._leads():
            return ()
        return (
            self._compact_if_due,
            self._sweep_jobs,
            self._save_clean_if_due,
            self._compact_apart_if_due,
        )

    def _tried(self, step: Callable[[], object]) -> str | None:
        """Why a step failed; None where it did not. What is due stays due."""
        try:
            step()
        except (CatalogError, OSError) as error:
            logger.warning("what was deleted is not off the disk yet: %s", error)
        except Exception:
            logger.exception("compaction failed; it is tried again")
        else:
            return None
        return "compaction fails"

    def _still_there(self) -> list[str]:
        try:
            left = list(still_there(self._catalog))
        except CatalogError:
            return ["the catalog cannot be read"]
        return left

    def _compact_if_due(self) -> None:
        if self._catalog.compaction.due():
            done = self._catalog.compaction.run()
            logger.info("compacted the catalog up to generation %d", done.generation)
        elif self._catalog.compaction.remaining():
            self._catalog.finish_deletions()

    def _sweep_jobs(self) -> None:
        """Look every minute, for another process may know of what is left, or nobody at all."""
        if self._catalog.jobs.unerased or time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_SECONDS
            self._catalog.jobs.sweep()

    def _save_clean_if_due(self) -> None:
        wanted = self._catalog.compaction.wanted()
        if not wanted or not holds_removed(self._snapshots, wanted):
            return
        if self._wait_for(wanted, _FOLLOW_SECONDS):
            self._save_clean(wanted)
            if holds_removed(self._snapshots, wanted):
                raise OSError("an index snapshot of before cannot be removed")

    def _compact_apart_if_due(self) -> None:
        """Once for what is taken down, after the index has heard of it, and once after a start."""
        if self._compact_apart is None:
            return
        wanted = self._catalog.compaction.wanted()
        if wanted > self._compacted_apart and self._wait_for(wanted, _FOLLOW_SECONDS):
            self._compact_apart()
            self._compacted_apart = wanted

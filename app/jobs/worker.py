"""Works on jobs in the service's own process, a few images at a time, until it is told to stop.

Knows when to work, rest and tidy up; how an image is answered is the business of others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.jobs.answerer import Outcome
from app.telemetry.watcher import Watcher
from attribution.catalog import CatalogError, Claimed, Jobs

logger = logging.getLogger(__name__)

# Results are acknowledged a claim at a time: small, so that progress shows and little is repeated.
_CLAIM = 16
IDLE_SECONDS = 5.0
_TIDY_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 30.0
# Failures in a row, of different images where it is images that fail, before it is not the image.
_TOO_MANY_FAILURES = 3


class JobWorker:
    """One thread that takes active jobs in turns.

    Nothing that goes wrong ends the thread: it is logged, and after a pause the next claim is
    tried. An attempt that came to nothing is counted by the catalog, so no item is tried for ever.

    Args:
        jobs: where the work and its results are.
        answer: works on a claim, or on as much of it as is done when the event is set.
        calibrating: builds the null; before it is done an answer would lack its decision.
        retention: how long a job is kept after it has ended.
        watcher: told of images that ended.
        name: of the worker, and of the lease that keeps others from what it works on.
        pause: seconds to wait after a failure, doubled with each that follows.
        idle: seconds between looks for the jobs of other processes on the same catalog.
    """

    def __init__(
        self,
        jobs: Jobs,
        answer: Callable[[Claimed, threading.Event], Outcome],
        *,
        calibrating: threading.Thread,
        retention: timedelta,
        watcher: Watcher | None = None,
        name: str = "",
        pause: float = 1.0,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._watcher, self._name, self._idle = watcher, name, idle
        self._jobs = jobs
        self._answer = answer
        self._calibrating = calibrating
        self._retention = retention
        self._pause = pause
        self._failures = 0
        self._broken = 0
        self._came_to_nothing: set[tuple[int, int]] = set()
        self._last_job = 0
        self._next_tidying = 0.0
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether jobs are being worked on."""
        return self._thread.is_alive()

    @property
    def failing(self) -> bool:
        """Whether work on jobs goes wrong again and again, whichever image it is."""
        images = min(self._failures, len(self._came_to_nothing))
        return max(self._broken, images) >= _TOO_MANY_FAILURES

    def wake(self) -> None:
        """There is a new job."""
        self._woken.set()

    def close(self) -> None:
        """Finish the forward pass under way, record it, give back the rest, end the thread."""
        self._stopping.set()
        self._woken.set()
        self._thread.join()

    def _work(self) -> None:
        while self._calibrating.is_alive() and not self._stopping.is_set():
            self._calibrating.join(0.1)
        self._guarded(self._jobs.sweep)
        while not self._stopping.is_set():
            self._woken.clear()
            self._tidy()
            if not self._guarded(self._step):
                self._woken.wait(self._idle)

    def _step(self) -> bool:
        """Work on one claim; False when nothing waits."""
        claimed = self._jobs.claim(_CLAIM, after=self._last_job, worker=self._name)
        if claimed is None:
            self._broken = 0
            self._came_to_nothing.clear()
            return False
        self._last_job = claimed.job.number
        outcome = self._answer(claimed, self._stopping)
        self._record(claimed, outcome)
        self._broken = 0
        self._note(claimed, outcome)
        if outcome.retried:
            self._rest()
        else:
            self._failures = 0
        return True

    def _note(self, claimed: Claimed, outcome: Outcome) -> None:
        """Tell how it went, and remember what came to nothing since an image was last answered."""
        answered = sum(not ended.failed for ended in outcome.ended)
        if self._watcher is not None:
            failed = len(outcome.ended) - answered
            self._watcher.job_images(answered=answered, failed=failed, retried=outcome.retried)
        if answered:
            self._came_to_nothing.clear()
        settled = {ended.position for ended in outcome.ended}.union(outcome.given_back)
        self._came_to_nothing.update(
            (claimed.job.number, item.position)
            for item in claimed.items
            if item.position not in settled
        )

    def _record(self, claimed: Claimed, outcome: Outcome) -> None:
        """Record until it holds: a full disk must not make done work count as failed attempts."""
        while True:
            try:
                self._jobs.complete(claimed.job, outcome.ended)
                self._jobs.release(claimed, outcome.given_back)
            except CatalogError:
                logger.exception("results of job %s cannot be recorded", claimed.job.job_id)
                if self._stopping.is_set():
                    return  # the next start answers these items again
                self._broken += 1
                self._rest()
            else:
                return

    def _tidy(self) -> None:
        if time.monotonic() < self._next_tidying:
            return
        self._next_tidying = time.monotonic() + _TIDY_SECONDS
        self._guarded(self._purge)

    def _purge(self) -> bool:
        purged = self._jobs.purge(ended_before=datetime.now(UTC) - self._retention)
        if purged:
            logger.info("%d jobs purged, %s after they had ended", purged, self._retention)
        return True

    def _guarded(self, action: Callable[[], object]) -> bool:
        """Whether the action says that there may be more to do; a failure is logged, then rest."""
        try:
            return bool(action())
        except Exception:
            logger.exception("working on jobs failed")
            self._broken += 1
            self._rest()
            return True

    def _rest(self) -> None:
        """Wait longer after each failure, so that what is broken is not hammered."""
        self._failures += 1
        self._stopping.wait(min(self._pause * 2.0 ** (self._failures - 1), _LONGEST_PAUSE_SECONDS))

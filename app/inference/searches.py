"""Joins what concurrent requests ask about images that are encoded; knows no HTTP and no index.

A thread takes whatever waits with the same question and searches for it at once, as the batcher
does with images: no timer, and load makes its own batches. Questions whose answer has to be waited
for (the null of a filter that is new, or one that is not up to date) have a thread of their own,
so that nobody waits behind them who could be answered.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.inference.activities import Activities
from app.inference.batcher import BatcherClosedError, Priority
from app.inference.turns import Turn, Turns
from app.telemetry.watcher import Watcher

logger = logging.getLogger(__name__)
Rows = NDArray[np.float32]
Asked = TypeVar("Asked", bound=Hashable)
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, eq=False)
class Searched(Generic[Found]):
    """What was found for an image, the seconds it waited and those that the joined search took."""

    found: tuple[Found, ...]
    queue_seconds: float
    search_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Asked, Found]):
    asked: Asked
    rows: Rows
    result: Future[Searched[Found]]
    since: float


class Searches(Generic[Asked, Found]):
    """Two threads that search for whatever waits together.

    A search that fails is tried again image by image: what fails for one fails for it alone.
    Every future is resolved, also at `close`; one that was cancelled before its turn costs nothing.

    Args:
        search: answers `(n, columns)` rows to one question, n in order.
        at_hand: whether a question can be answered without waiting for something to be made.
        turns: shared with whoever else uses the processor's cores.
        activities: told of every search that is at hand, which must not hang.
        watcher: told of every image that was searched for.
        most: images of requests searched for together.
        most_of_jobs: images of jobs; a request waits for one such search at most.
    """

    def __init__(
        self,
        search: Callable[[Asked, Rows], Sequence[Found]],
        at_hand: Callable[[Asked], bool],
        *,
        turns: Turns,
        activities: Activities,
        most: int,
        most_of_jobs: int,
        watcher: Watcher | None = None,
    ) -> None:
        self._at_hand = at_hand
        limits: dict[Priority, int] = {"interactive": most, "job": most_of_jobs}

        def watched(asked: Asked, rows: Rows) -> Sequence[Found]:
            with activities.doing("search"):
                return search(asked, rows)

        # What waits for a null has no turn meanwhile, or it would keep everybody else waiting.
        self._prompt = _Lane("searching", watched, limits, watcher, turns)
        self._patient = _Lane("searching-patiently", search, limits, watcher)

    def submit(
        self, asked: Asked, rows: Rows, *, priority: Priority = "interactive"
    ) -> Future[Searched[Found]]:
        """Queue an image's `(n, columns)` rows; the future ends with what was found or the error.

        Raises:
            BatcherClosedError: after `close`.
        """
        lane = self._prompt if self._at_hand(asked) else self._patient
        return lane.submit(asked, rows, priority)

    def close(self) -> None:
        """Take nothing more, finish what waits, end the threads. May be called twice."""
        self._prompt.close()
        self._patient.close()


class _Lane(Generic[Asked, Found]):
    """One thread, before which requests wait in one queue and jobs in another."""

    def __init__(
        self,
        name: str,
        search: Callable[[Asked, Rows], Sequence[Found]],
        limits: Mapping[Priority, int],
        watcher: Watcher | None,
        turns: Turns | None = None,
    ) -> None:
        self._search, self._limits, self._turns, self._watcher = search, limits, turns, watcher
        self._queues: dict[Priority, deque[_Waiting[Asked, Found]]] = {
            "interactive": deque(),
            "job": deque(),
        }
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, asked: Asked, rows: Rows, priority: Priority) -> Future[Searched[Found]]:
        item: _Waiting[Asked, Found] = _Waiting(asked, rows, Future(), time.perf_counter())
        with self._changed:
            if self._closed:
                raise BatcherClosedError("the service is stopping")
            self._queues[priority].append(item)
            self._changed.notify()
        return item.result

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while (priority := self._next()) is not None:
            turn = Turn.SEARCH if priority == "interactive" else Turn.JOB_SEARCH
            with self._has(turn):
                # Taken only now: whatever came while others had their turn is searched for too.
                batch = self._take()
                claimed = [each for each in batch if each.result.set_running_or_notify_cancel()]
                if claimed:
                    self._run(claimed)

    def _has(self, turn: Turn) -> AbstractContextManager[None]:
        return nullcontext() if self._turns is None else self._turns.take(turn)

    def _next(self) -> Priority | None:
        """Wait for work, and say whose; None once closed and done."""
        with self._changed:
            while not (priority := self._first()):
                if self._closed:
                    return None
                self._changed.wait()
            return priority

    def _first(self) -> Priority | None:
        return next((each for each, queue in self._queues.items() if queue), None)

    def _take(self) -> list[_Waiting[Asked, Found]]:
        """The longest-waiting, and those behind it that ask the same."""
        with self._changed:
            priority = self._first()
            if priority is None:
                return []
            queue = self._queues[priority]
            batch: list[_Waiting[Asked, Found]] = []
            others: list[_Waiting[Asked, Found]] = []
            asked = queue[0].asked
            while queue and len(batch) < self._limits[priority]:
                item = queue.popleft()
                (batch if item.asked == asked else others).append(item)
            queue.extendleft(reversed(others))
            return batch

    def _run(self, batch: Sequence[_Waiting[Asked, Found]]) -> None:
        started = time.perf_counter()
        rows = np.concatenate([item.rows for item in batch])
        try:
            found = self._search(batch[0].asked, rows)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            if len(batch) == 1:
                batch[0].result.set_exception(error)
                return
            logger.warning("a search for %d images failed, retrying singly", len(batch))
            for item in batch:
                self._run([item])
            return
        seconds = time.perf_counter() - started
        self._tell(batch, started, seconds)
        answers = iter(found)
        for item in batch:
            own = tuple(islice(answers, len(item.rows)))
            item.result.set_result(Searched(own, started - item.since, seconds))

    def _tell(
        self, batch: Sequence[_Waiting[Asked, Found]], started: float, seconds: float
    ) -> None:
        if self._watcher is None:
            return
        self._watcher.search(len(batch))
        for item in batch:
            self._watcher.stage("search_queue", started - item.since)
            self._watcher.stage("search", seconds)

"""Whose turn it is at the processor: forward passes and searches, one at a time; knows neither.

Each of them uses every core there is. Two at once would fight for the cores, and both take longer
than one after the other.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Turn(IntEnum):
    """Who goes first: what is nearer to an answer, and whoever waits for it before jobs."""

    SEARCH = 0
    ENCODE = 1
    MAPS = 2
    JOB_SEARCH = 3
    JOB_ENCODE = 4


class Turns:
    """Gives out turns by rank, those of one rank in the order of asking."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: list[tuple[Turn, int]] = []
        self._taken = False

    @contextmanager
    def take(self, turn: Turn) -> Iterator[None]:
        """Wait for a turn, and have it until the block ends."""
        with self._changed:
            ticket = (turn, next(self._numbers))
            heapq.heappush(self._waiting, ticket)
            self._changed.wait_for(lambda: not self._taken and self._waiting[0] == ticket)
            heapq.heappop(self._waiting)
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

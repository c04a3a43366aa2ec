"""What the service's threads are busy with, and since when; knows nobody who asks.

A thread cannot be stopped from outside. What can be had is to know that one does not come back.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Work = Literal["decode", "encode", "search"]


@dataclass(frozen=True, slots=True)
class Activity:
    """One piece of work that has begun and not ended, for so many seconds."""

    work: Work
    seconds: float


class Activities:
    """Work under way; safe for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._begun: dict[int, tuple[Work, float]] = {}

    @contextmanager
    def doing(self, work: Work) -> Iterator[None]:
        """Be busy with this until the block ends, however it ends."""
        with self._lock:
            number = next(self._numbers)
            self._begun[number] = work, time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._begun[number]

    def longest(self) -> Activity | None:
        """What has been under way for the longest; None where nothing is."""
        with self._lock:
            begun = min(self._begun.values(), key=lambda item: item[1], default=None)
        if begun is None:
            return None
        work, since = begun
        return Activity(work, time.monotonic() - since)

"""What is taken on and not done yet, counted, so that the rest is refused instead of piling up.

Knows no request: what is counted are images, jobs being received, or bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.problems.problem import Problem


class Slots:
    """Counts what is in flight, up to a limit; `unit` names it, where it is not images."""

    def __init__(self, limit: int, *, unit: str = "images") -> None:
        self._limit = limit
        self._unit = unit
        self.taken = 0
        """How much is in flight."""
        self._lock = threading.Lock()

    @contextmanager
    def take(self, count: int) -> Iterator[Held]:
        """Hold `count` slots, all or none, until the block ends.

        Raises:
            Problem: 503 `overloaded`.
        """
        held = Held(self)
        try:
            held.grow(count)
            yield held
        finally:
            self.release(held.count)

    def acquire(self, count: int) -> None:
        """Take so many, all or none; raises 503 `overloaded`."""
        with self._lock:
            if self.taken + count > self._limit:
                raise Problem(
                    "overloaded",
                    f"{self.taken:,} {self._unit} are being worked on, of at most {self._limit:,}.",
                    retry_after=1,
                )
            self.taken += count

    def release(self, count: int) -> None:
        """Give so many back."""
        with self._lock:
            self.taken -= count


class Held:
    """The slots of one request, which may turn out to need more than it began with."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.count = 0

    def grow(self, count: int) -> None:
        """Hold at least `count` in all; raises 503 `overloaded`."""
        more = count - self.count
        if more > 0:
            self._slots.acquire(more)
            self.count = count

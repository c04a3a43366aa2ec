"""How far a run has come. Knows nothing of what is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

OnSteps = Callable[[int, int], None]
T = TypeVar("T")


class Steps:
    """Tells a callback how many steps are done, of how many."""

    def __init__(self, total: int, on_steps: OnSteps | None) -> None:
        self._done, self._total, self._on_steps = 0, total, on_steps

    def add(self, steps: int = 1) -> None:
        """So many more are done."""
        self._done += steps
        if self._on_steps is not None:
            self._on_steps(self._done, self._total)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items; each is a step, done when the next is asked for."""
        for item in items:
            yield item
            self.add()

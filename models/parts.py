"""A part: a named slice of an embedding row that is compared on its own. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Columns `start:stop` of a row; what one head made, compared by inner product."""

    name: str
    start: int
    stop: int

    @property
    def columns(self) -> slice:
        """The slice that cuts this part out of a row."""
        return slice(self.start, self.stop)

    @property
    def dimension(self) -> int:
        """How many columns the part has."""
        return self.stop - self.start


def consecutive_parts(dimensions: Sequence[tuple[str, int]]) -> tuple[Part, ...]:
    """Lay parts of the given names and widths side by side, in order."""
    parts: list[Part] = []
    start = 0
    for name, dimension in dimensions:
        parts.append(Part(name, start, start + dimension))
        start += dimension
    return tuple(parts)

"""How long the stages of one image's trip took; plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of each stage; `encode` and `search` are those of all images that shared them.

    `total` is what the stages add up to, or how long the sender of a request has waited.
    """

    decode: float
    queue: float
    encode: float
    search_queue: float = 0.0
    search: float = 0.0
    explain: float | None = None
    total: float = 0.0

    def searched(self, seconds: float, *, waited: float = 0.0) -> Timings:
        """The same after the search, with which a trip can end."""
        total = self.decode + self.queue + self.encode + waited + seconds
        return replace(self, search_queue=waited, search=seconds, total=total)

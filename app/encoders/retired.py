"""What served once and is closed when nobody is left who may use it; knows not what it is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.encoders.live import Live


@dataclass(frozen=True, slots=True, eq=False)
class Retired:
    """What to close once nobody is left who may use it."""

    users: tuple[weakref.ref[Live], ...]
    closing: Sequence[Callable[[], None]]

    @property
    def unused(self) -> bool:
        """Whether all who may use it are gone."""
        return all(user() is None for user in self.users)

    def close(self) -> None:
        """Close it."""
        for close in self.closing:
            close()

"""What a look at one thing found; plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of it.
        state: `note` for what limits a service, `problem` for what keeps it from serving.
        found: what there is.
        todo: what to do about it; empty where nothing needs doing.
    """

    name: str
    state: State
    found: str
    todo: str = ""

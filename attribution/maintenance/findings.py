"""What a verification finds, in words for the operator of a data folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["mendable", "mended", "beyond-repair"]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: stable name, such as `preview-damaged`.
        detail: what was found, and where.
        state: whether `--repair` can mend it, has mended it, or cannot.
        advice: what to do where it cannot.
    """

    kind: str
    detail: str
    state: State
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that a verification looked at, and what it found."""

    sources: int
    generation: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Nothing is wrong, or nothing is any more."""
        return all(finding.state == "mended" for finding in self.findings)


def some(names: Sequence[object]) -> str:
    """A few of many names, for a line of text."""
    shown = ", ".join(map(str, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown

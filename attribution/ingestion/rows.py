"""A row of what to ingest: a file, and what is stated about it. Reads nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One file and what is stated about it.

    `path` is where to read the file; `uri` is what answers name it by. `stated` are the fields of
    a source that the row gives. A uri that is only the path is none of them: it never replaces one
    that someone has set. `content` is the file itself where it is at hand, and then `path` is only
    what it is called in reports.
    """

    path: Path
    uri: str
    collection: str = "default"
    stated: dict[str, Any] = field(default_factory=dict)
    line: int = 0
    content: bytes | None = field(default=None, repr=False)
    address: str = ""


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """A line that says nothing usable, or (line 0) what of a folder is not read."""

    line: int
    reason: str
    path: Path

    @property
    def told(self) -> str:
        """The reason, with the line that it is about."""
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class ManifestUnreadable(ValueError):
    """There is no folder or manifest to read; the message says what to give instead."""


def as_text(path: PurePath | str) -> str:
    """The path as answers name it; of a name that is not UTF-8 the bytes are spelt out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

"""The file of results of `attribution batch`: what is in it is not asked again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from app.cli.failures import BadInvocation

REQUEST_ID = "batch"
"""Stands where an answer over HTTP has the id of its request."""

Results = Iterator[tuple[Path, dict[str, Any] | None]]
"""Each image with its `attribution` or `problem`; None where its file could not be read."""


@contextmanager
def open_results(path: Path) -> Iterator[ResultsFile]:
    """The results that a file holds, to be added to; they survive a power cut afterwards.

    Raises:
        BadInvocation: it holds something else, or is no file that could be gone on with.
    """
    if path.exists() and not path.is_file():
        raise BadInvocation(f"{path} is no regular file: name another with --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        results = ResultsFile(path, file)
        try:
            yield results
        finally:
            results.make_durable()


_BEGINNING = b'{"path": '
"""Of every line that is written here, by which one that was cut short is told from foreign text."""


class ResultsFile:
    """JSON Lines, one an image, appended to. A line that a crash has cut short is taken off."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.paths: set[str] = set()
        self.problems = 0
        self._file = file
        self._read()

    def add(self, path: Path, result: Mapping[str, Any]) -> None:
        """Append what came of an image."""
        line = json.dumps({"path": str(path), **result})
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        self._count(str(path), result)

    def make_durable(self) -> None:
        """Return when what was added survives a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                if line[: len(_BEGINNING)] != _BEGINNING[: len(line)]:
                    raise self._not_ours(number)
                break
            whole += len(line)
            try:
                row = json.loads(line)
                self._count(row["path"], row)
            except (ValueError, TypeError, KeyError):
                raise self._not_ours(number) from None
        self._file.truncate(whole)

    def _not_ours(self, line: int) -> BadInvocation:
        return BadInvocation(
            f"{self.path}, line {line}, is not a result of `attribution batch`; name another file "
            "with --out"
        )

    def _count(self, path: str, row: Mapping[str, Any]) -> None:
        self.paths.add(path)
        self.problems += "problem" in row

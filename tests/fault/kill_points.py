"""The moments of a piece of work at which what is on disk changes, and what each leaves there.

The moments find themselves: every statement that writes, every commit, every file made, flushed,
renamed or removed below the data folder is one, named after what is about to happen. Code under
test needs no hooks for it, and what is written differently tomorrow is met all the same.

A process that is killed loses its memory and its locks, and nothing that it has written: what
`kill -9` leaves is the folder as it is at that moment. So one run is enough for all of them.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

_FILES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_READS = ("SELECT", "PRAGMA", "BEGIN", "VACUUM INTO")


@dataclass(frozen=True)
class Left:
    """What a kill leaves: a copy of the folder, and before which points it looks so."""

    points: tuple[str, ...]
    folder: Path


def left_at_every_point(
    folder: Path, copies: Path, prepare: Callable[[], Callable[[], Any]]
) -> list[Left]:
    """Run in a fork what ``prepare`` returns; copy the folder to `copies` before every point.

    Only what it returns is counted. The last point is "acknowledge": all is done, nobody told, and
    the process is killed there. Points in a row at which all files have the same bytes share one.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            action = prepare()
            points = _Points(folder, copies, writing)
            points.install()
            action()
            points.reach("acknowledge")
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as told:
        reached = [tuple(line.rstrip("\n").split("\t")) for line in told]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, f"it failed by itself after {reached}"
    return [
        Left(tuple(name for _, name in same), copies / copy)
        for copy, same in groupby(reached, key=itemgetter(0))
    ]


def _content(folder: Path) -> dict[str, bytes | None]:
    return {str(at): at.read_bytes() if at.is_file() else None for at in folder.rglob("*")}


class _Points:
    def __init__(self, folder: Path, copies: Path, told: int) -> None:
        self._copied = 0
        self._last: dict[str, bytes | None] = {}
        self._folder = str(folder)
        self._copies = copies
        self._told = told

    def reach(self, name: str) -> None:
        content = _content(Path(self._folder))
        if content != self._last:
            self._last = content
            self._copied += 1
            shutil.copytree(self._folder, self._copies / f"{self._copied}")
        os.write(self._told, f"{self._copied}\t{name}\n".encode())

    def install(self) -> None:
        sys.addaudithook(self._audit)
        flush = os.fsync

        def fsync(descriptor: int) -> None:
            self.reach(f"fsync {self._short(str(Path(f'/proc/self/fd/{descriptor}').readlink()))}")
            flush(descriptor)

        os.fsync = fsync
        event.listen(sa.Engine, "before_cursor_execute", self._statement)
        event.listen(sa.Engine, "commit", lambda _: self.reach("COMMIT"))

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open":
            path, _, flags = arguments
            if isinstance(path, str) and flags & _WRITING and path.startswith(self._folder):
                self.reach(f"open {self._short(path)}")
        elif name in _FILES and str(arguments[0]).startswith(self._folder):
            self.reach(f"{name} {self._short(str(arguments[0]))}")

    def _statement(self, _connection, _cursor, statement, *_):
        if not statement.lstrip().upper().startswith(_READS):
            self.reach(" ".join(statement.split()[:3]))

    def _short(self, path: str) -> str:
        return path.removeprefix(self._folder).lstrip("/")[:40]

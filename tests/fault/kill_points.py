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
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

_FILES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_READS = ("SELECT", "PRAGMA", "BEGIN", "VACUUM INTO")


@dataclass(frozen=True)
class Left:
    """What a kill at one moment leaves: before what, and a copy of the folder."""

    point: str
    folder: Path


def left_at_every_point(
    folder: Path, copies: Path, prepare: Callable[[], Callable[[], Any]]
) -> list[Left]:
    """Run in a fork what ``prepare`` returns; copy the folder to `copies` before every point.

    Only what it returns is counted. The last point is "acknowledge": all is done, nobody told, and
    the process is killed there.
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
        names = told.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, f"it failed by itself after {names}"
    return [Left(name, copies / f"{number}") for number, name in enumerate(names)]


class _Points:
    def __init__(self, folder: Path, copies: Path, told: int) -> None:
        self._reached = 0
        self._folder = str(folder)
        self._copies = copies
        self._told = told

    def reach(self, name: str) -> None:
        os.write(self._told, f"{name}\n".encode())
        shutil.copytree(self._folder, self._copies / f"{self._reached}")
        self._reached += 1

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

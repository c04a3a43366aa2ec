"""Ends a process at a chosen moment of those at which what is on disk changes.

The moments find themselves: every statement that writes, every commit, every file made, flushed,
renamed or removed below the data folder is one, named after what is about to happen. Code under
test needs no hooks for it, and what is written differently tomorrow is met all the same.
"""

import os
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
class Ended:
    """How a process went: killed before the point that is last in `points`, or done."""

    killed: bool
    points: tuple[str, ...]


def run_until(number: int, folder: Path, prepare: Callable[[], Callable[[], Any]]) -> Ended:
    """Run in a fork what ``prepare`` returns, and kill -9 it before its point number ``number``.

    Only what it returns is counted. The last point is "acknowledge": all is done, nobody told.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            action = prepare()
            points = _Points(number, folder, writing)
            points.install()
            action()
            points.reach("acknowledge")
            code = 0
        finally:
            if code:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as told:
        names = tuple(told.read().splitlines())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"it failed by itself after {names}"
    return Ended(code != 0, names)


class _Points:
    def __init__(self, last: int, folder: Path, told: int) -> None:
        self._left = last
        self._folder = str(folder)
        self._told = told

    def reach(self, name: str) -> None:
        os.write(self._told, f"{name}\n".encode())
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

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

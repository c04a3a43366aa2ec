"""One service a data folder: a lock that ends with its process, however it ends; knows no catalog.

The lock is an `flock` on a file that stays. Only its holder writes index snapshots; commands that
write the catalog do not need it, for the database has locks of its own. What the file says is who
holds it, in one line of JSON; of a holder that was killed it says what is no longer true.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

NAME = "service.lock"
_LONGEST = 4096  # bytes of what is read of a holder
_PATIENCE = 10.0  # seconds to wait for a holder that says that it is brief
_LOOK_SECONDS = 0.05


class FolderInUse(Exception):
    """Another process holds the data folder; nothing was touched."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"the data folder {folder} is in use by {holder or 'another process'}: stop that one "
            "first, or give this one a folder of its own (ATTRIBUTION_DATA or --data)"
        )


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a service on the folder can be asked, and what it answers by.

    Attributes:
        url: such as `http://127.0.0.1:8000`.
        instance: what this run of the service calls itself, to tell it from another that has got
            its address since.
        answers_by: digest of what its answers depend on besides the folder.
    """

    url: str
    instance: str
    answers_by: str


@dataclass(frozen=True, slots=True)
class _Holder:
    purpose: str
    process: int
    brief: bool
    listening: Listening | None = None

    def __str__(self) -> str:
        return f"{self.purpose} (process {self.process})"


class HeldFolder:
    """A folder that this process holds."""

    def __init__(self, descriptor: int, holder: _Holder) -> None:
        self._descriptor, self._holder = descriptor, holder
        _write(descriptor, holder)

    def listens(self, listening: Listening) -> None:
        """Tell other processes on the folder where to ask."""
        _write(self._descriptor, replace(self._holder, listening=listening))


@contextmanager
def folder_lock(folder: Path, purpose: str, *, brief: bool = False) -> Iterator[HeldFolder]:
    """Hold the folder, created where it is missing, until the block ends.

    Args:
        folder: the data folder.
        purpose: told to whoever comes second, such as "a service".
        brief: for seconds only, so whoever comes second does better to wait.

    Raises:
        FolderInUse: another process holds it, or another part of this one, and not briefly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, folder)
        try:
            yield HeldFolder(descriptor, _Holder(purpose, os.getpid(), brief))
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def listening_on(folder: Path) -> Listening | None:
    """Where the service on a folder says that it listens, if it says so; it may be gone by now."""
    try:
        with (folder / NAME).open("rb") as file:
            holder = _read(file.fileno())
    except OSError:
        return None
    return None if holder is None else holder.listening


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(descriptor)
            if holder is None or not holder.brief or time.monotonic() > deadline:
                raise FolderInUse(folder.absolute(), str(holder or "")) from None
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _write(descriptor: int, holder: _Holder) -> None:
    line = json.dumps(asdict(holder)).encode() + b"\n"
    os.pwrite(descriptor, line, 0)  # before it is cut, so that its first line is always whole
    os.ftruncate(descriptor, len(line))


def _read(descriptor: int) -> _Holder | None:
    """Who holds it, in words of its own; None where they make no sense."""
    try:
        said = json.loads(os.pread(descriptor, _LONGEST, 0).partition(b"\n")[0])
        listening = said.pop("listening")
        return _Holder(**said, listening=None if listening is None else Listening(**listening))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None

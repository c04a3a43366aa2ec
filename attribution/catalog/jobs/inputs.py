"""The files that jobs wait to work on: durable before a job is accepted, erased as items end.

`folder/<job_id>/<position>` holds the bytes of one item. Knows no database.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from attribution.catalog.errors import storage_errors
from attribution.files import flush, sha256_of


class Incoming:
    """The folder of a job that is being received; gone at `close` unless it was kept.

    Holding one keeps sweeps of this and of other processes away from it.
    """

    def __init__(self, folder: Path, job_id: str, lock: int) -> None:
        """Use `JobInputs.receive` instead."""
        self.job_id = job_id
        self._folder = folder
        self._lock = lock
        self._kept = False

    def path(self, position: int) -> Path:
        """Where the bytes of an item go."""
        return self._folder / str(position)

    @property
    def archive(self) -> Path:
        """Where an archive may lie while it is unpacked; it must be gone before the job is kept."""
        return self._folder / "archive"

    def make_durable(self) -> None:
        """Return when every file survives a power cut."""
        # All are written by now, so that the first call carries most of the others with it.
        for path in self._folder.iterdir():
            flush(path)
        flush(self._folder)
        flush(self._folder.parent)

    def keep(self) -> None:
        """The job is accepted: its files stay."""
        self._kept = True

    def close(self) -> None:
        """Let go; what was not kept is removed."""
        try:
            if not self._kept:
                shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            os.close(self._lock)


class JobInputs:
    """One folder a job. Safe with other processes beside, on the same machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def receive(self, job_id: str) -> Incoming:
        """Start the folder of a new job; raises StorageFull."""
        with storage_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = self._take_lock(fcntl.LOCK_SH)
            try:
                folder = self._folder / job_id
                folder.mkdir(mode=0o700)
            except BaseException:
                os.close(lock)
                raise
        return Incoming(folder, job_id, lock)

    def open(self, job_id: str, position: int) -> BinaryIO:
        """The bytes of an item; FileNotFoundError once it has ended."""
        return (self._folder / job_id / str(position)).open("rb")

    def erase(self, job_id: str, positions: Iterable[int]) -> None:
        """Remove the bytes of items that have ended; none there is fine."""
        for position in positions:
            (self._folder / job_id / str(position)).unlink(missing_ok=True)

    def erase_all(self, job_id: str) -> None:
        """Remove a job's folder; none there is fine."""
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def erase_bytes(self, sha256s: frozenset[str], job_ids: Iterable[str]) -> dict[str, list[int]]:
        """Remove the files of these jobs that have one of these digests; their positions by job.

        Reads them all: takedowns are rare, and what arrives is not slowed down for them.
        """
        erased: dict[str, list[int]] = {}
        for job_id in job_ids if sha256s else ():
            for path in (self._folder / job_id).glob("[0-9]*"):
                with suppress(FileNotFoundError):  # its item has ended meanwhile
                    if sha256_of(path) in sha256s:
                        path.unlink(missing_ok=True)
                        erased.setdefault(job_id, []).append(int(path.name))
        return erased

    def sweep(self, waiting: Callable[[str], set[int] | None]) -> None:
        """Remove what a crash has left: folders of no job, and files of ended items.

        Does nothing while any process receives a job.

        Args:
            waiting: the positions of a job that have not ended; None when there is no such job.
        """
        if not self._folder.is_dir():
            return
        try:
            lock = self._take_lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            for folder in filter(Path.is_dir, self._folder.iterdir()):
                positions = waiting(folder.name)
                if not positions:
                    shutil.rmtree(folder, ignore_errors=True)
                    continue
                for path in folder.iterdir():
                    if not (path.name.isdecimal() and int(path.name) in positions):
                        path.unlink(missing_ok=True)
        finally:
            os.close(lock)

    def _take_lock(self, kind: int) -> int:
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

"""The files that jobs wait to work on: durable before a job is accepted, erased as items end.

`folder/<job_id>/<position>` holds the bytes of one item. Knows no database.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from attribution.catalog.errors import Place
from attribution.files import flush
from models.digests import sha256_of

logger = logging.getLogger(__name__)
_SETTLING_SECONDS = 0.5
"""Longer than lies between the end of an item and the removal of its file."""


class Incoming:
    """The folder of a job that is being received; gone at `close` unless it was kept.

    Holding one keeps sweeps of this and of other processes away from it.
    """

    def __init__(self, inputs: JobInputs, folder: Path, job_id: str, lock: int) -> None:
        """Use `JobInputs.receive` instead."""
        self.job_id = job_id
        self._inputs = inputs
        self._folder = folder
        self._lock = lock
        self._kept = False

    def writing(self) -> AbstractContextManager[None]:
        """Around whatever writes here; raises StorageFull, StorageUnwritable."""
        return self._inputs.place.writing()

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
                self._inputs.remove_folder(self.job_id)
        finally:
            os.close(self._lock)


class JobInputs:
    """One folder a job. Safe with other processes beside, on the same machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = Place()
        self.unerased = False
        """Whether something that ought to be gone is still there, for a sweep to try again."""

    def receive(self, job_id: str) -> Incoming:
        """Start the folder of a new job; raises StorageFull, StorageUnwritable."""
        with self.place.writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = self._take_lock(fcntl.LOCK_SH)
            try:
                folder = self._folder / job_id
                folder.mkdir(mode=0o700)
            except BaseException:
                os.close(lock)
                raise
        return Incoming(self, folder, job_id, lock)

    def open(self, job_id: str, position: int) -> BinaryIO:
        """The bytes of an item; FileNotFoundError once it has ended."""
        return (self._folder / job_id / str(position)).open("rb")

    def erase(self, job_id: str, positions: Iterable[int]) -> None:
        """Remove the bytes of items that have ended; none there is fine. What stays is swept."""
        for position in positions:
            self._remove(self._folder / job_id / str(position))

    def remove_folder(self, job_id: str) -> bool:
        """Remove a job's folder, none there is fine; False where something of it stays."""
        folder = self._folder / job_id

        def stays(_function: object, _path: str, raised: Any) -> None:
            error = raised[1]
            if not isinstance(error, FileNotFoundError):
                self._note(folder, error)

        shutil.rmtree(folder, onerror=stays)
        return not folder.exists()

    def remaining(self, job_id: str) -> tuple[str, ...]:
        """A job's folder where it is there, relative to the data folder."""
        return (f"jobs/{job_id}",) if (self._folder / job_id).exists() else ()

    def erase_bytes(
        self, sha256s: frozenset[str], job_ids: Iterable[str]
    ) -> tuple[dict[str, list[int]], tuple[str, ...]]:
        """Remove the files of these jobs that have one of these digests.

        Reads them all: takedowns are rare, and what arrives is not slowed down for them.

        Returns:
            The positions by job of what is removed; and the names of what may have these bytes and
            stays, relative to the data folder.
        """
        erased: dict[str, list[int]] = {}
        stayed: list[str] = []
        for job_id in job_ids if sha256s else ():
            for path in (self._folder / job_id).glob("[0-9]*"):
                if not self._may_have(path, sha256s):
                    continue
                if self._remove(path):
                    erased.setdefault(job_id, []).append(int(path.name))
                else:
                    stayed.append(f"jobs/{job_id}/{path.name}")
        return erased, tuple(stayed)

    def _may_have(self, path: Path, sha256s: frozenset[str]) -> bool:
        try:
            return sha256_of(path) in sha256s
        except FileNotFoundError:  # its item has ended meanwhile
            return False
        except OSError as error:  # nobody can tell what it is
            self._note(path, error)
            return True

    def _remove(self, path: Path) -> bool:
        """Whether a file is gone now."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._note(path, error)
            return False
        return True

    def _note(self, path: Path, error: OSError) -> None:
        logger.warning("%s is not erased yet: %s", path, error)
        self.unerased = True
        self.place.failed(error)

    def sweep(self, waiting: Callable[[str], set[int] | None]) -> None:
        """Remove what a crash has left: folders of no job, and files of ended items.

        Does nothing while any process receives a job. What cannot be removed stays `unerased`.

        Args:
            waiting: the positions of a job that have not ended; None when there is no such job.
        """
        if not self._folder.is_dir():
            return
        try:
            lock = self._take_lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError as error:
            self._note(self._folder, error)
            return
        try:
            self.unerased = False
            for path in self._leftovers(waiting):
                if path.parent == self._folder:
                    self.remove_folder(path.name)
                else:
                    self._remove(path)
        except OSError as error:
            self._note(self._folder, error)
        finally:
            os.close(lock)

    def look(self, waiting: Callable[[str], set[int] | None]) -> None:
        """Find what a sweep would remove, and remember that it is `unerased`; remove nothing.

        What is being erased, or received, at this moment is not meant: it is looked twice.
        """
        first = self._seen(waiting)
        if first:
            time.sleep(_SETTLING_SECONDS)
            self.unerased |= bool(first & self._seen(waiting))

    def _seen(self, waiting: Callable[[str], set[int] | None]) -> set[Path]:
        try:
            found = set(self._leftovers(waiting))
        except OSError:  # out of this user's reach, or gone meanwhile
            return set()
        unknown = {
            path for path in found if path.parent == self._folder and waiting(path.name) is None
        }
        return found - unknown if unknown and self._is_receiving() else found

    def _leftovers(self, waiting: Callable[[str], set[int] | None]) -> Iterator[Path]:
        """Folders that no item waits in, and files that none of the items waits for."""
        if not self._folder.is_dir():
            return
        for folder in filter(Path.is_dir, self._folder.iterdir()):
            positions = waiting(folder.name)
            if not positions:
                yield folder
                continue
            for path in folder.iterdir():
                if not (path.name.isdecimal() and int(path.name) in positions):
                    yield path

    def _is_receiving(self) -> bool:
        """Whether some process receives a job; asked without writing."""
        try:
            lock = os.open(self._folder / ".lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def _take_lock(self, kind: int) -> int:
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

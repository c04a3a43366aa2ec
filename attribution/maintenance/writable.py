"""Whether whoever runs a service can write where it must; leaves nothing behind.

Opens no file of the database: to close it again would let go of the locks that SQLite holds in
this process.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attribution.catalog.presence import FILE

Part = Literal["catalog", "previews", "jobs", "index", "temporary"]
PARTS: tuple[Part, ...] = ("catalog", "previews", "jobs", "index", "temporary")

_WRITTEN = 16_384  # bytes: less than that would fit where nothing else does


@dataclass(frozen=True, slots=True)
class Unwritable:
    """A place that cannot be written: what it is for, where it is, and why not."""

    part: Part
    path: Path
    reason: str


def unwritable(folder: Path, *, snapshots: Path) -> tuple[Unwritable, ...]:
    """The first place of each part of a data folder that cannot be written now, and why.

    Where root asks, for whom nothing is forbidden, it is the owner of the folder who must be able
    to: a service seldom runs as root, and what root has written there is what stops it.
    """
    found: dict[Part, Unwritable] = {}
    for trouble in _troubles(folder, snapshots):
        found.setdefault(trouble.part, trouble)
    return tuple(found[part] for part in PARTS if part in found)


def _troubles(folder: Path, snapshots: Path) -> Iterator[Unwritable]:
    may_write = _Permission(folder)
    files = [folder / f"{FILE}{suffix}" for suffix in ("", "-wal", "-shm")]
    yield from (Unwritable("catalog", path, reason) for path, reason in may_write.each(files))
    yield from _of_folder("catalog", folder, may_write, deep=False)
    yield from _of_folder("previews", folder / "previews", may_write)
    yield from _of_folder("jobs", folder / "jobs", may_write)
    yield from _of_folder("index", snapshots, may_write)
    try:
        _write(None)
    except OSError as error:
        place = error.filename or os.environ.get("TMPDIR", "/tmp")  # noqa: S108 (only to name it)
        yield Unwritable("temporary", Path(place), error.strerror or str(error))


def _of_folder(
    part: Part, folder: Path, may_write: _Permission, *, deep: bool = True
) -> Iterator[Unwritable]:
    """Trouble with a folder, and with those in it; one that is not there yet will be made."""
    if not folder.is_dir():
        return
    try:
        below = [path for path in sorted(folder.iterdir()) if path.is_dir()] if deep else []
    except OSError as error:
        yield Unwritable(part, folder, error.strerror or str(error))
        return
    yield from (Unwritable(part, path, reason) for path, reason in may_write.each([folder, *below]))
    try:
        _write(folder)
    except OSError as error:
        yield Unwritable(part, folder, error.strerror or str(error))


def _write(folder: Path | None) -> None:
    """Write a file without a name; None for where temporary files go."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(b"\0" * _WRITTEN)


class _Permission:
    """Asks on behalf of this process, or of the owner of a folder where root asks."""

    def __init__(self, folder: Path) -> None:
        self._user: os.stat_result | None = None
        if os.geteuid() == 0 and folder.is_dir():
            owner = folder.stat()
            self._user = owner if owner.st_uid else None

    def each(self, paths: list[Path]) -> Iterator[tuple[Path, str]]:
        """Those of the paths that are there and may not be written, each with a reason."""
        for path in paths:
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                yield path, error.strerror or str(error)
                continue
            if reason := self._why_not(path, found):
                yield path, reason

    def _why_not(self, path: Path, found: os.stat_result) -> str | None:
        needed = os.W_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)
        if not os.access(path, needed):
            return "it may not be written"
        if self._user is None:
            return None
        for owned, shift in ((found.st_uid == self._user.st_uid, 6),
                             (found.st_gid == self._user.st_gid, 3), (True, 0)):  # fmt: skip
            if owned:
                allowed = (found.st_mode >> shift) & 0o7
                return None if allowed & needed == needed else "the folder's owner may not write it"
        raise AssertionError("the last always holds")

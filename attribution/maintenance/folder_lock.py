"""One service a data folder: a lock that ends with its process, however it ends; knows no catalog.

The lock is an `flock` on a file that stays. Only its holder writes index snapshots; commands that
write the catalog do not need it, for the database has locks of its own.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "service.lock"


class FolderInUse(Exception):
    """Another process holds the data folder; nothing was touched."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"the data folder {folder} is in use by {holder or 'another process'}: stop that one "
            "first, or give this one a folder of its own (ATTRIBUTION_DATA or --data)"
        )


@contextmanager
def folder_lock(folder: Path, purpose: str) -> Iterator[None]:
    """Hold the folder, created where it is missing, until the block ends.

    Args:
        folder: the data folder.
        purpose: told to whoever comes second, such as "a service".

    Raises:
        FolderInUse: another process holds it, or another part of this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            raise FolderInUse(folder.absolute(), holder) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{purpose} (process {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)

"""An SQLite file that this process may read and not write; no file is made beside it.

While anybody has the catalog open, its log and the log's index (`-wal`, `-shm`) lie beside the file
and are read with it. While nobody has, the file holds everything and is read as one that does not
change; that it has not is looked at after each transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from attribution.catalog.errors import CatalogBusy, CatalogUnfinished

Stamp = tuple[int, int, int, bool]


def only_to_read(file: Path) -> bool:
    """Whether a file is there that this process may not write, or may write nothing beside."""
    return file.is_file() and not (
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)
    )


def connect(file: Path) -> sqlite3.Connection:
    """A connection that only reads; for one transaction, which belongs into `undisturbed`.

    Raises:
        CatalogUnfinished: writes are left in the log of a killed process.
    """
    how = "mode=ro" if _in_use(file) else "mode=ro&immutable=1"
    log = _beside(file, "-wal")
    if not _in_use(file) and log.is_file() and log.stat().st_size:
        raise CatalogUnfinished(log)
    path = quote(str(file.absolute()))
    return sqlite3.connect(f"file:{path}?{how}", uri=True, check_same_thread=False)


@contextmanager
def undisturbed(file: Path) -> Iterator[None]:
    """Around a transaction: what it has read is of one moment, or it fails.

    Raises:
        CatalogBusy: somebody has begun to write meanwhile; what was read may be half old.
    """
    before = _stamp(file)
    try:
        yield
    finally:
        if not before[-1] and _stamp(file) != before:
            raise CatalogBusy


def _stamp(file: Path) -> Stamp:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, _in_use(file)


def _in_use(file: Path) -> bool:
    return _beside(file, "-shm").is_file()


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)

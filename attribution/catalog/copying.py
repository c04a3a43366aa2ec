"""Copies of the catalog: one made while others write, and one put in the place of another.

Knows SQLite files and previews; where copies lie and what they are for, `maintenance` knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from attribution.catalog import postgresql
from attribution.catalog.checks import renew_epoch
from attribution.catalog.database import Database
from attribution.catalog.previews import PreviewStore
from attribution.files import flush

_BUSY_SECONDS = 30.0
_PREVIEWS_AT_ONCE = 64


class Copies:
    """Reading a catalog out, and making a copy of one fit to serve."""

    def __init__(self, database: Database, store: PreviewStore) -> None:
        """Part of a `Catalog`."""
        self._database = database
        self.previews = store

    def require(self, folder: Path) -> None:
        """Raise CatalogUnusable where `write` cannot be; `folder` is the data folder."""
        self._database.require_copyable(folder)

    def write(self, path: Path) -> None:
        """Write the database as of now to a new file and flush it; others go on meanwhile."""
        self._database.copy_to(path)
        flush(path)

    def renew_epoch(self) -> None:
        """Begin a new history, in which no index made before is trusted."""
        with self._database.write() as connection:
            renew_epoch(connection)


def how_to_restore(url: str, folder: Path) -> str | None:
    """What restores the PostgreSQL database of a data folder; None of any other."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # who opens it says so
        return None
    is_postgresql = postgresql.is_postgresql(parsed)
    return postgresql.how_to_restore(parsed, folder) if is_postgresql else None


def copy_previews(names: Iterable[str], source: PreviewStore, target: PreviewStore) -> set[str]:
    """Make sure that the target has these previews, durably; the names of those that nobody has.

    What the target has is looked at first, byte by byte; a damaged file there is replaced.
    """
    lost: set[str] = set()
    batch: dict[str, bytes] = {}
    for name in names:
        if _sound(target, name) is not None:
            continue
        data = _sound(source, name)
        if data is None:
            lost.add(name)
            continue
        target.path(name).unlink(missing_ok=True)
        batch[name] = data
        if len(batch) == _PREVIEWS_AT_ONCE:
            target.store(batch)
            batch = {}
    target.store(batch)
    return lost


def _sound(store: PreviewStore, name: str) -> bytes | None:
    """The bytes of a preview; None where the file is missing, unreadable or not what was stored."""
    try:
        return store.read_sound(name)
    except OSError:
        return None


def replace_database(prepared: Path, target: Path) -> None:
    """Put the contents of one SQLite file in the place of another's, in one transaction of it.

    Processes that have the target open see the new contents with their next transaction, and none
    writes into a file that is gone. Killed on the way, the target is as it was. Waits for a writer.

    Raises:
        sqlite3.DatabaseError: the target is damaged; see `install_database`.
    """
    with closing(sqlite3.connect(prepared)) as source, closing(sqlite3.connect(target)) as old:
        old.execute(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}")
        old.execute("PRAGMA synchronous=FULL")
        source.backup(old)
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def install_database(prepared: Path, target: Path) -> None:
    """Move a closed SQLite file to where there is none, or one that cannot be read, and its log."""
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    prepared.replace(target)

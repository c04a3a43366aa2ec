"""What a database needs before it is a catalog: the schema and the rows that are always there."""

from __future__ import annotations

from pathlib import Path

from attribution.catalog import changes, collections, cursors, migration
from attribution.catalog.database import Database
from attribution.catalog.errors import CatalogMissing, CatalogReadOnly


def prepare(database: Database) -> str:
    """Bring schema and first rows into being where they are missing; returns the epoch."""
    database.use_write_ahead_log()
    with database.read() as connection:
        current = migration.is_current(connection)
    if not current:
        with database.write() as connection:
            migration.upgrade(connection)
            changes.begin(connection)
            collections.ensure_default(connection)
            cursors.make_secret(connection)
    return _epoch(database)


def require(database: Database, folder: Path) -> str:
    """Bring the schema of a catalog up to date, and make none; returns the epoch.

    Raises:
        CatalogMissing: the database, that of `folder`, holds no catalog.
        CatalogReadOnly: an older version has written it, and this process may only read.
    """
    with database.read() as connection:
        current, begun = migration.is_current(connection), migration.is_begun(connection)
    if not begun:
        raise CatalogMissing(folder, database=database.where)
    if database.only_read is None:
        return prepare(database)
    if not current:
        raise CatalogReadOnly(database.only_read)
    return _epoch(database)


def look_at(url: str) -> None:
    """Find out whether a database can be read, be there a catalog in it or not.

    Raises:
        CatalogTooNew, CatalogUnusable: it cannot.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            migration.is_current(connection)
    finally:
        database.close()


def _epoch(database: Database) -> str:
    with database.read() as connection:
        return changes.epoch(connection)

"""What a database needs before it is a catalog: the schema and the rows that are always there."""

from __future__ import annotations

from attribution.catalog import changes, collections, cursors, migration
from attribution.catalog.database import Database


def prepare(database: Database) -> str:
    """Bring schema and first rows into being where they are missing; returns the epoch."""
    with database.read() as connection:
        current = migration.is_current(connection)
    if not current:
        with database.write() as connection:
            migration.upgrade(connection)
            changes.begin(connection)
            collections.ensure_default(connection)
            cursors.make_secret(connection)
    with database.read() as connection:
        return changes.epoch(connection)

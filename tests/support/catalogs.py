"""New catalogs from the statements that Alembic ended with, without its walk through every step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import migration


def schema_of(folder: Path) -> tuple[str, ...]:
    """All that the migrations write, statement by statement; they are run in `folder`."""
    file = folder / "migrated.sqlite3"
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        migration.upgrade(connection)
    engine.dispose()
    with closing(sqlite3.connect(file)) as written:
        return tuple(
            line for line in written.iterdump() if not line.startswith(("BEGIN", "COMMIT"))
        )


@contextmanager
def made_at_once(schema: tuple[str, ...]) -> Iterator[None]:
    """Make new SQLite catalogs of this process by these statements; older ones are migrated."""
    upgrade = migration.upgrade

    def made(connection: Connection) -> None:
        sqlite = connection.dialect.name == "sqlite"
        if not sqlite or connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
            upgrade(connection)
            return
        for statement in schema:
            connection.exec_driver_sql(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration, "upgrade", made)
        yield


only_sqlite = pytest.mark.parametrize("url", [None], ids=["sqlite"])
"""Marks a test of the catalog that another database cannot pass, or need not."""

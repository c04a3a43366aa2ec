"""Brings a catalog's schema up to date with Alembic, on a connection that holds the write lock.

Whether it is up to date is asked at every opening, so that is found out without Alembic, which
takes longer to import, and to read its scripts, than a catalog takes to open.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.errors import CatalogTooNew

_SCRIPTS = Path(__file__).parent / "migrations"
_REVISION = sa.table("alembic_version", sa.column("version_num", sa.String))

# Alembic's `context` and `op` are global to the process.
_one_at_a_time = threading.Lock()


def is_current(connection: Connection) -> bool:
    """Whether the schema is the one this code was written for.

    Raises:
        CatalogTooNew: the schema has a revision that this code does not have.
    """
    known, found = revisions(), _found(connection)
    if found is not None and found not in known:
        raise CatalogTooNew(found)
    return found == known[-1]


def is_begun(connection: Connection) -> bool:
    """Whether there is a schema at all, of whatever version."""
    return _found(connection) is not None


def upgrade(connection: Connection) -> None:
    """Apply the missing revisions within the caller's transaction; none is fine.

    Raises:
        CatalogTooNew: see `is_current`.
    """
    with _one_at_a_time:
        # Asked again under the lock: another process may have migrated in the meantime.
        if is_current(connection):
            return
        from alembic import command  # noqa: PLC0415  # only where something is to be migrated
        from alembic.config import Config  # noqa: PLC0415

        config = Config(attributes={"connection": connection})
        # The path goes through ConfigParser, where a per cent sign starts an interpolation.
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        command.upgrade(config, "head")


@cache
def revisions() -> tuple[str, ...]:
    """Every revision that this code has, oldest first, by the names of the scripts.

    `r0007_job_records.py` holds revision 0007, which follows 0006; a test compares what Alembic
    reads in the scripts.
    """
    return tuple(sorted(path.name[1:5] for path in (_SCRIPTS / "versions").glob("r????_*.py")))


def _found(connection: Connection) -> str | None:
    """The revision of a schema; None before the first."""
    if not sa.inspect(connection).has_table(_REVISION.name):
        return None
    return connection.execute(sa.select(_REVISION.c.version_num)).scalar()

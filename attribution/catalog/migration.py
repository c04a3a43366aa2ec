"""Brings a catalog's schema up to date with Alembic, on a connection that holds the write lock."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from attribution.catalog.errors import CatalogTooNew

_SCRIPTS = Path(__file__).parent / "migrations"

# Alembic's `context` and `op` are global to the process.
_one_at_a_time = threading.Lock()


def is_current(connection: Connection) -> bool:
    """Whether the schema is the one this code was written for.

    Raises:
        CatalogTooNew: the schema has a revision that this code does not have.
    """
    head, known = _revisions()
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise CatalogTooNew(found)
    return found == head


def upgrade(connection: Connection) -> None:
    """Apply the missing revisions within the caller's transaction; none is fine.

    Raises:
        CatalogTooNew: see `is_current`.
    """
    with _one_at_a_time:
        # Asked again under the lock: another process may have migrated in the meantime.
        if is_current(connection):
            return
        config = Config(attributes={"connection": connection})
        # The path goes through ConfigParser, where a per cent sign starts an interpolation.
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        command.upgrade(config, "head")


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """The newest revision of this code and all of them, read from the scripts once."""
    scripts = ScriptDirectory(str(_SCRIPTS))
    return scripts.get_current_head(), frozenset(
        script.revision for script in scripts.walk_revisions()
    )

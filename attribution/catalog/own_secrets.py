"""Random bytes that only this catalog knows; made with it, and never shown."""

from __future__ import annotations

import secrets as random

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.schema import secrets

CURSORS = "cursors"
_BYTES = 32


def ensure(connection: Connection) -> None:
    """Make what is missing. Must run in a write transaction."""
    if connection.execute(sa.select(secrets.c.name).where(secrets.c.name == CURSORS)).first():
        return
    connection.execute(sa.insert(secrets).values(name=CURSORS, value=random.token_bytes(_BYTES)))


def read(connection: Connection, name: str) -> bytes:
    """The secret of this name."""
    value = connection.execute(sa.select(secrets.c.value).where(secrets.c.name == name))
    return bytes(value.scalar_one())

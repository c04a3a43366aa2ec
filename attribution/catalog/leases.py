"""Who does what only one process may do at a time: leases that end by themselves, by name.

A holder renews its lease long before it ends. One that was killed, or cannot reach the catalog,
does not, and somebody else takes it over. Times are those of the database, so that the clocks of
machines need not agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from attribution.catalog.database import Database
from attribution.catalog.schema import leases

_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a name, and whether that still holds."""

    name: str
    holder: str
    valid: bool


class Leases:
    """The leases of a catalog; each method is one transaction, for any thread.

    None of them waits for a long write, such as a large batch of sources: a lease must not end for
    that.
    """

    def __init__(self, database: Database) -> None:
        """Part of a `Catalog`."""
        self._database = database

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take a lease that is free, or renew one's own; False where another holds it."""
        with self._database.write_beside() as connection:
            now = moment(connection)
            on_sqlite = connection.dialect.name == "sqlite"
            insert: Any = sqlite.insert if on_sqlite else postgresql.insert
            new = insert(leases).values(
                name=name, holder=holder, until=now + timedelta(seconds=seconds)
            )
            taken = new.on_conflict_do_update(
                index_elements=[leases.c.name],
                set_={"holder": new.excluded.holder, "until": new.excluded.until},
                where=(leases.c.holder == holder) | (leases.c.until <= now),
            ).returning(leases.c.holder)
            if connection.execute(taken).first() is None:
                return False
            connection.execute(sa.delete(leases).where(leases.c.until < now - _FORGOTTEN_AFTER))
            return True

    def give_back(self, name: str, holder: str) -> None:
        """End one's own lease now; none that is held by another."""
        with self._database.write_beside() as connection:
            connection.execute(
                sa.delete(leases).where(leases.c.name == name, leases.c.holder == holder)
            )

    def find(self, name: str) -> Lease | None:
        """Who holds it, or held it last; None where nobody has."""
        with self._database.read() as connection:
            return _found(connection, name)


def is_held(connection: Connection, name: str, holder: str) -> bool:
    """Whether this holder holds a lease at this moment."""
    lease = _found(connection, name)
    return lease is not None and lease.valid and lease.holder == holder


def is_free(connection: Connection, name: str) -> bool:
    """Whether nobody holds a lease at this moment."""
    lease = _found(connection, name)
    return lease is None or not lease.valid


def _found(connection: Connection, name: str) -> Lease | None:
    row = connection.execute(sa.select(leases).where(leases.c.name == name)).first()
    return None if row is None else Lease(name, row.holder, row.until > moment(connection))


def valid_names(connection: Connection) -> sa.Select[tuple[str]]:
    """A query for the names that are held now."""
    return sa.select(leases.c.name).where(leases.c.until > moment(connection))


def moment(connection: Connection) -> datetime:
    """The time of the database's machine; an SQLite file is on the machine that asks."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    found: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return found.astimezone(UTC)

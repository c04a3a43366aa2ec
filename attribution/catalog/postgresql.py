"""What PostgreSQL needs to be a catalog: driver, connections, the writers' lock, its errors.

A write takes one advisory lock before it reads anything and holds it until its commit is seen by
everybody, so that changes are numbered in the order of commits, whoever writes from wherever.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, ProgrammingError

from attribution.catalog.errors import CatalogUnusable

EXTRA = "attribution[postgres]"

# Any number will do, as long as every process that opens this catalog takes the same.
_LOCK = 7_135_000_001
_DRIVER = "postgresql+psycopg"
# A server that is gone without a word is noticed in about a minute instead of in hours.
_HABITS: dict[str, str | int] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "client_encoding": "utf8",
    "application_name": "attribution",
}
_BUSY = {"55P03", "40001", "40P01"}  # a lock not had in time, a conflict, a deadlock
_FULL = {"53100"}
# What the server says whose setting or state does not let the catalog be used; besides all that
# the driver takes for trouble in operation, such as a connection that is lost.
_UNUSABLE = {"25006", "42501", "3D000", "3F000"}  # read-only, no privilege, no database, no schema


def is_postgresql(url: sa.URL) -> bool:
    """Whether an address is one of PostgreSQL, also in the spelling of other tools."""
    return url.drivername.partition("+")[0] in {"postgresql", "postgres"}


def place(url: sa.URL) -> str:
    """Which database an address names, for people: nothing of how one gets in is in it."""
    host = url.host or url.query.get("host") or "this machine"
    return f"the PostgreSQL database {url.database!r} on {host}"


def how_to_back_up(url: sa.URL, folder: Path) -> str:
    """What an operator does in the place of `attribution backup`; no password is in it."""
    return (
        f"pg_dump --format=custom --file=catalog.dump --dbname={_for_tools(url)}; after it copy "
        f"{folder / 'previews'} and {folder / 'background'}"
    )


def how_to_restore(url: sa.URL, folder: Path) -> str:
    """What an operator does in the place of `attribution restore`; no password is in it."""
    return (
        "stop the service; pg_restore --clean --if-exists --no-owner --single-transaction "
        f"--dbname={_for_tools(url)} catalog.dump; copy previews and background back into "
        f"{folder}; attribution verify --restored, which has every index made anew: they may know "
        "changes that are gone"
    )


def _for_tools(url: sa.URL) -> str:
    """An address as the programs of PostgreSQL take it, which ask for the password themselves."""
    bare = sa.URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query={key: value for key, value in url.query.items() if "password" not in key.lower()},
    )
    return shlex.quote(bare.render_as_string())


def engine(url: sa.URL) -> Engine:
    """Connections by psycopg, looked at before they are used again, since servers restart.

    Raises:
        CatalogUnusable: the driver is not installed, or the address is cut in the wrong place.
    """
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername=_DRIVER)
    if "@" in (url.host or ""):  # the rest of a password, which is not to be shown
        raise CatalogUnusable(
            "the database URL cannot be used: its user or password holds '@', '/' or ':', which "
            "a URL spells %40, %2F and %3A"
        )
    habits: dict[str, Any] = {key: value for key, value in _HABITS.items() if key not in url.query}
    if url.drivername == _DRIVER:
        # A statement prepared by the server would not outlive a migration by another process, nor
        # get through a pooler that gives each transaction another connection.
        habits["prepare_threshold"] = None
    try:
        made = sa.create_engine(
            url, connect_args=habits, pool_size=8, max_overflow=56, pool_pre_ping=True
        )
    except ImportError as error:
        raise CatalogUnusable(
            f"the driver of PostgreSQL is not installed ({error}): pip install '{EXTRA}'"
        ) from error
    event.listen(made, "connect", _require_unicode)
    return made


def reading(whole: Engine) -> Engine:
    """For transactions that see one moment throughout, as those of SQLite do."""
    return whole.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(whole: Engine) -> Engine:
    """For transactions that see what was committed before they got the writers' lock.

    A snapshot of their own, which a server may have for its default, would be older than that.
    """
    return whole.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)


def wait_for_turn(connection: Connection, seconds: float) -> None:
    """Take the writers' lock at the start of a transaction; the end of it gives it back."""
    connection.exec_driver_sql(
        f"SET LOCAL lock_timeout = {max(1, int(seconds * 1000))}; "
        f"SELECT pg_advisory_xact_lock({_LOCK})"
    )


def is_busy(error: DBAPIError) -> bool:
    """Whether somebody else was in the way."""
    return _state(error) in _BUSY


def is_full(error: DBAPIError) -> bool:
    """Whether the server has no room left on its disk."""
    return _state(error) in _FULL


def is_unusable(error: DBAPIError) -> bool:
    """Whether the server is out of reach, or does not let this catalog be read or written."""
    # An address that the driver itself refuses has no state: no server was asked.
    refused = isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", "") is None
    return error.connection_invalidated or refused or _state(error) in _UNUSABLE


def _state(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def _require_unicode(dbapi_connection: Any, _record: Any) -> None:
    encoding = dbapi_connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise CatalogUnusable(
            f"the PostgreSQL database keeps text as {encoding}, which cannot hold every title: "
            "make one with `createdb --encoding=UTF8 --template=template0`"
        )

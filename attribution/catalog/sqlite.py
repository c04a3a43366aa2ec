"""What SQLite needs to be a catalog: pragmas, how transactions begin, its log, its errors.

A write starts with BEGIN IMMEDIATE, so that two writers wait for each other at the start instead of
failing in the middle; readers see the last commit throughout (write-ahead log).
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

_BEGIN = "catalog_begin"  # execution option: the statement that starts a transaction


def is_in_memory(url: sa.URL) -> bool:
    """Whether an address is one of SQLite that names no file."""
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


def prepare(engine: Engine, seconds: float) -> None:
    """Give every connection that is made from now on the catalog's habits.

    Args:
        engine: makes them.
        seconds: for which a writer waits for others.
    """
    event.listen(engine, "connect", lambda connection, _: _set_pragmas(connection, seconds))
    event.listen(engine, "begin", _begin)


def writing(whole: Engine) -> Engine:
    """For transactions that no other writer runs beside."""
    return whole.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def outside_transactions(whole: Engine) -> Engine:
    """For statements that run in none."""
    return whole.execution_options(**{_BEGIN: None})


def use_write_ahead_log(connection: Connection, seconds: float) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            # SQLite does not wait for the lock that this switch needs: processes that open a new
            # catalog together would fail without asking again.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def rewrite(connection: Connection, seconds: float) -> bool:
    """Write the file anew without what was deleted; whether its log could be emptied too."""
    connection.exec_driver_sql("VACUUM")
    deadline = time.monotonic() + seconds
    while True:
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if not busy or time.monotonic() > deadline:
            return not busy
        time.sleep(0.05)


def is_busy(error: DBAPIError) -> bool:
    """Whether somebody else was in the way."""
    return "database is locked" in str(error.orig)


def is_full(error: DBAPIError) -> bool:
    """Whether the disk has no room left."""
    return "disk is full" in str(error.orig)


def is_damage(error: DBAPIError) -> bool:
    """Whether the file is no catalog, or not whole."""
    return any(sign in str(error.orig) for sign in ("not a database", "malformed"))


def _set_pragmas(dbapi_connection: Any, seconds: float) -> None:
    # The driver's own idea of when a transaction starts is switched off: see _begin.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
        cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged write survives a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)

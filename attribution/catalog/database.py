"""Connections and transactions: short reads that never wait, writes one at a time; knows no table.

What SQLite and PostgreSQL do for that, `sqlite` and `postgresql` know.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.pool import NullPool

from attribution.catalog import postgresql, reading, sqlite
from attribution.catalog.errors import (
    CatalogBusy,
    CatalogClosed,
    CatalogReadOnly,
    CatalogUnusable,
    Place,
    StorageFull,
)
from attribution.catalog.presence import sqlite_file

_Item = TypeVar("_Item")

_BUSY_SECONDS = 30.0
# How many values one statement names: every database allows more, and no plan gets absurd.
_STATEMENT_VALUES = 1000
_SPELLINGS = "use sqlite:////path/to/file or postgresql+psycopg://user@host/name"


class Database:
    """An engine with the catalog's habits: pragmas, kinds of transaction, errors with a meaning."""

    def __init__(self, url: str | sa.URL) -> None:
        """Prepare for `url`; nothing is opened yet. A file that may not be written is only read.

        Raises:
            CatalogUnusable: the URL makes no sense or its driver is not installed.
        """
        file = sqlite_file(url)
        self.only_read = file if file is not None and reading.only_to_read(file) else None
        self._engine = _engine(url, self.only_read)
        if self._on_postgresql:
            self._reading: Engine = postgresql.reading(self._engine)
            self._writing: Engine = postgresql.writing(self._engine)
        else:
            self._reading = self._engine
            self._writing = sqlite.writing(self._engine)
        self._turn = threading.Lock()
        self.place = Place()
        self._closed = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A view of what is committed, which waits for no writer."""
        self._refuse_if_closed()
        with self._of_one_moment(), _translated(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; committed durably on leaving.

        Raises:
            CatalogBusy: another writer held the lock for too long.
            CatalogReadOnly: this process may only read.
            StorageFull: no room on the disk.
        """
        with self._own_turn(), self._watched(), self._writing.begin() as connection:
            if self._on_postgresql:
                postgresql.wait_for_turn(connection, _BUSY_SECONDS)
            yield connection

    @contextmanager
    def write_beside(self) -> Iterator[Connection]:
        """A write of a row or two that changes no source, and waits for no long one.

        PostgreSQL locks the rows that it touches; SQLite lets one write at a time in any case.
        """
        if not self._on_postgresql:
            with self.write() as connection:
                yield connection
            return
        self._refuse_if_closed()
        with _translated(), self._writing.begin() as connection:
            yield connection

    def use_write_ahead_log(self) -> None:
        """Let readers and a writer work side by side (SQLite only; the file remembers it)."""
        if self._engine.dialect.name != "sqlite":
            return
        with self._outside_transactions() as connection:
            sqlite.use_write_ahead_log(connection, _BUSY_SECONDS)

    def rewrite(self) -> bool:
        """Write the file anew without what was deleted and empty its log (SQLite only).

        Writers wait meanwhile. False where somebody kept the log in use: it may hold deleted rows
        still.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        with self._own_turn(), self._watched(), self._outside_transactions() as connection:
            return sqlite.rewrite(connection, _BUSY_SECONDS)

    def copy_to(self, path: Path) -> None:
        """Write a whole copy as of one moment to a new file, while others read and write.

        Nothing that was deleted is in the copy. It is not flushed to disk yet.

        Raises:
            CatalogUnusable: the database is no SQLite file; its own tools make its copies.
        """
        self._refuse_if_closed()
        if self._engine.dialect.name != "sqlite":
            raise CatalogUnusable(
                f"only an SQLite catalog can be copied here; copy this {self._engine.dialect.name} "
                "database with its own tools, and the folder previews/ after it"
            )
        with self._outside_transactions() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(path),))

    @property
    def where(self) -> str | None:
        """Which database it is, for people; None of a file, which has a path."""
        return postgresql.place(self._engine.url) if self._on_postgresql else None

    def require_copyable(self, folder: Path) -> None:
        """Find out before the work whether `copy_to` can be; `folder` is the data folder.

        Raises:
            CatalogUnusable: it says what copies this database instead.
        """
        if self._on_postgresql:
            how = postgresql.how_to_back_up(self._engine.url, folder)
            raise CatalogUnusable(f"{self.where} is copied by its own tools: {how}")

    @property
    def _on_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def require_writable(self) -> None:
        """Raise CatalogReadOnly where this process may only read."""
        if self.only_read is not None:
            raise CatalogReadOnly(self.only_read)

    def close(self) -> None:
        """Close every connection; later use is refused."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Threads queue here, in fairness; the database's own lock is for other processes."""
        self._refuse_if_closed()
        self.require_writable()
        if not self._turn.acquire(timeout=_BUSY_SECONDS):
            raise CatalogBusy
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """A write, of which it is remembered whether the disk took it."""
        try:
            with _translated():
                yield
        except (StorageFull, CatalogUnusable) as error:
            self.place.failed(getattr(error.__cause__, "orig", error))  # says no path
            raise
        self.place.succeeded()

    @contextmanager
    def _outside_transactions(self) -> Iterator[Connection]:
        plain = sqlite.outside_transactions(self._engine)
        with self._of_one_moment(), _translated(), plain.connect() as connection:
            yield connection

    def _of_one_moment(self) -> AbstractContextManager[None]:
        return nullcontext() if self.only_read is None else reading.undisturbed(self.only_read)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise CatalogClosed


def in_statements(values: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Split what an `IN (...)` names into pieces that fit one statement each."""
    for start in range(0, len(values), _STATEMENT_VALUES):
        yield values[start : start + _STATEMENT_VALUES]


def rows_among(
    connection: Connection, wanted: sa.Select[Any], column: sa.Column[Any], values: Iterable[object]
) -> Iterator[Row[Any]]:
    """The rows of `wanted` whose `column` has one of these values, in pieces of one statement."""
    for some in in_statements(list(values)):
        yield from connection.execute(wanted.where(column.in_(some)))


def _engine(url: str | sa.URL, only_read: Path | None) -> Engine:
    try:
        parsed = sa.make_url(url)
        if postgresql.is_postgresql(parsed):
            return postgresql.engine(parsed)
        if sqlite.is_in_memory(parsed):
            raise CatalogUnusable("a catalog in memory would be lost; name a file in the URL")
        if only_read is not None:
            engine = sa.create_engine(
                parsed, poolclass=NullPool, creator=lambda: reading.connect(only_read)
            )
        else:
            engine = sa.create_engine(parsed, pool_size=8, max_overflow=56)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise CatalogUnusable(f"the database URL cannot be used ({error}); {_SPELLINGS}") from error
    except ValueError:  # its words would show a password that was taken for the port
        raise CatalogUnusable(
            f"the database URL cannot be used (its port is no number); {_SPELLINGS}"
        ) from None
    if engine.dialect.name == "sqlite":
        sqlite.prepare(engine, _BUSY_SECONDS)
    return engine


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's complaints into errors that say what to do."""
    try:
        yield
    except DBAPIError as error:
        if sqlite.is_busy(error) or postgresql.is_busy(error):
            raise CatalogBusy from error
        if sqlite.is_full(error) or postgresql.is_full(error):
            raise StorageFull from error
        unreachable = isinstance(error, OperationalError | InterfaceError)
        if unreachable or sqlite.is_damage(error) or postgresql.is_unusable(error):
            said = " ".join(str(error.orig).split())
            raise CatalogUnusable(
                f"the catalog's database cannot be used: {said}; check that the path or URL "
                "is right and writable, or restore a backup"
            ) from error
        raise

"""What the catalog can say about its own soundness, and what of it can be mended in place.

Reads rows and counts; what a finding means to an operator is the business of `maintenance`.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from attribution.catalog import changes
from attribution.catalog.database import Database, rows_among
from attribution.catalog.errors import CatalogUnusable
from attribution.catalog.previews import PreviewStore, digest
from attribution.catalog.schema import changes as change_table
from attribution.catalog.schema import embeddings, meta, published, sources

_SHOWN = 20
_AT_ONCE = 1000
_UNUSED_SECONDS = 60.0  # an addition commits within seconds of storing its previews


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The log of changes against the sources that live.

    Attributes:
        gaps: numbers missing from 1 to the last, and whether the counter disagrees with the last.
        not_added: vector ids of live sources that the log does not add, or removes afterwards.
        not_removed: vector ids that the log adds and no source has.
    """

    gaps: int
    not_added: tuple[int, ...]
    not_removed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flawed:
    """Ids of sources that lack something they should have, or have it damaged."""

    missing: tuple[str, ...]
    damaged: tuple[str, ...]


class Checks:
    """Looks at every row and every preview; nothing is written but by the methods that mend."""

    def __init__(self, database: Database, store: PreviewStore) -> None:
        """Part of a `Catalog`."""
        self._database = database
        self._previews = store

    def database(self) -> tuple[str, ...]:
        """What SQLite itself finds wrong with the file, in its words; empty where nothing is."""
        with self._database.read() as connection:
            if connection.dialect.name != "sqlite":
                return ()
            found = connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})").scalars().all()
            words = [str(line) for line in found if line != "ok"]
            if not words:
                orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                words = [f"a row of {row[0]} refers to no row of {row[2]}" for row in orphans]
        return tuple(words)

    def rebuild_indexes(self) -> None:
        """Make SQLite's own indexes anew from the tables; mends nothing else.

        Raises:
            CatalogUnusable: the tables hold twice what an index allows once.
        """
        try:
            with self._database.write() as connection:
                connection.exec_driver_sql("REINDEX")
        except IntegrityError as error:
            raise CatalogUnusable(f"the indexes cannot be made anew: {error.orig}") from error

    def log(self) -> LogFacts:
        """Replay the log of changes and compare the outcome with the sources."""
        with self._database.read() as connection:
            live = set(connection.execute(sa.select(sources.c.vector_id)).scalars())
            counter = changes.generation(connection)
            replayed: set[int] = set()
            numbers = 0
            log = sa.select(change_table.c.operation, change_table.c.vector_id)
            ordered = log.order_by(change_table.c.generation)
            for operation, vector_id in connection.execute(
                ordered.execution_options(yield_per=_AT_ONCE)
            ):
                numbers += 1
                if operation == "add":
                    replayed.add(vector_id)
                elif operation == "remove":
                    replayed.discard(vector_id)
            last = connection.execute(sa.select(sa.func.max(change_table.c.generation))).scalar()
        gaps = (last or 0) - numbers + (counter != (last or 0))
        return LogFacts(gaps, tuple(sorted(live - replayed)), tuple(sorted(replayed - live)))

    def mend_log(self, facts: LogFacts) -> None:
        """Log what the log has missed, and begin a new epoch, so that no older index is trusted."""
        with self._database.write() as connection:
            last = connection.execute(sa.select(sa.func.max(change_table.c.generation))).scalar()
            if (last or 0) > changes.generation(connection):
                connection.execute(sa.update(meta).values(generation=last))
            where = _collections(connection, facts.not_added)
            changes.append(connection, "add", sorted(where.items()))
            gone = [(vector_id, _last_collection(connection, vector_id))
                    for vector_id in facts.not_removed]  # fmt: skip
            changes.append(connection, "remove", gone)
            renew_epoch(connection)

    def embeddings(self, model_id: str, dimension: int) -> Flawed:
        """Find sources without a row of `dimension` finite floats of this encoder."""
        missing: list[str] = []
        damaged: list[str] = []
        for source_id, vector in self._rows(model_id):
            if vector is None:
                missing.append(source_id)
            elif (
                len(vector) != 4 * dimension or not np.isfinite(np.frombuffer(vector, "<f4")).all()
            ):
                damaged.append(source_id)
        return Flawed(tuple(missing), tuple(damaged))

    def previews(self) -> Flawed:
        """Read every preview that a source uses and compare its bytes with its name."""
        missing: list[str] = []
        damaged: list[str] = []
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(sources.c.source_id, sources.c.preview).order_by(sources.c.vector_id)
            ).all()
        for source_id, name in rows:
            try:
                if digest(self._previews.read(name)) != name:
                    damaged.append(source_id)
            except FileNotFoundError:
                missing.append(source_id)
            except OSError:
                damaged.append(source_id)
        still = self.live({*missing, *damaged})  # the rest was deleted while we looked
        return Flawed(
            tuple(name for name in missing if name in still),
            tuple(name for name in damaged if name in still),
        )

    def unused_previews(self, *, seconds: float = _UNUSED_SECONDS) -> tuple[str, ...]:
        """Names of files that no source uses, as old as no addition under way needs them."""
        used = self.preview_users()
        old = time.time() - seconds
        names = []
        for path in self._previews.files():
            if self._previews.name_of(path) not in used:
                with contextlib.suppress(FileNotFoundError):
                    names += [path.name] if path.stat().st_mtime <= old else []
        return tuple(sorted(names))

    def preview_users(self) -> dict[str, list[str]]:
        """The sources that use each preview."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(sources.c.preview, sources.c.source_id)).all()
        users: dict[str, list[str]] = {}
        for name, source_id in rows:
            users.setdefault(name, []).append(source_id)
        return users

    def live(self, source_ids: Iterable[str]) -> set[str]:
        """Those of the ids that name a source."""
        column = sources.c.source_id
        with self._database.read() as connection:
            rows = rows_among(connection, sa.select(column), column, set(source_ids))
            return {row.source_id for row in rows}

    def _rows(self, model_id: str) -> Iterator[tuple[str, bytes | None]]:
        """Every live source with its row under the encoder, or None; short reads, page by page."""
        after = 0
        joined = sources.outerjoin(
            embeddings,
            sa.and_(
                embeddings.c.vector_id == sources.c.vector_id, embeddings.c.model_id == model_id
            ),
        )
        wanted = sa.select(sources.c.vector_id, sources.c.source_id, embeddings.c.vector)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    wanted.select_from(joined)
                    .where(sources.c.vector_id > after)
                    .order_by(sources.c.vector_id)
                    .limit(_AT_ONCE)
                ).all()
            if not rows:
                return
            yield from ((row.source_id, row.vector) for row in rows)
            after = rows[-1].vector_id


def renew_epoch(connection: Connection) -> None:
    """Begin a new history: every index made before counts in another one and is refused."""
    connection.execute(sa.update(meta).values(epoch=secrets.token_hex(8)))
    connection.execute(sa.delete(published))


def _collections(connection: Connection, vector_ids: tuple[int, ...]) -> dict[int, str]:
    wanted = sa.select(sources.c.vector_id, sources.c.collection)
    rows = rows_among(connection, wanted, sources.c.vector_id, vector_ids)
    return {row.vector_id: row.collection for row in rows}


def _last_collection(connection: Connection, vector_id: int) -> str:
    return str(
        connection.execute(
            sa.select(change_table.c.collection)
            .where(change_table.c.vector_id == vector_id)
            .order_by(change_table.c.generation.desc())
            .limit(1)
        ).scalar_one()
    )

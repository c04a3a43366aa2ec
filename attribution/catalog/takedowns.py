"""Takedowns: deletions whose bytes must not come back; knows no HTTP, and no file but previews.

A tombstone holds the digest, the time and the reason, and nothing else of the source. Whatever
adds to a catalog, or brings an older one back, asks here first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import compaction, leases, removals, validation, webhooks
from attribution.catalog.database import Database, in_statements, rows_among
from attribution.catalog.errors import InvalidField, SourceTakenDown
from attribution.catalog.jobs import rows as job_rows
from attribution.catalog.records import Deleted, TakenDown
from attribution.catalog.schema import sources, takedowns
from attribution.catalog.sources import is_source_id
from attribution.catalog.webhooks import NewMessage, Told

logger = logging.getLogger(__name__)

REASON_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Bytes that were taken down: hex sha256 of the original file, when, and why."""

    sha256: str
    at: datetime
    reason: str


class Takedowns:
    """The catalog's takedowns; each method is one transaction, for any thread."""

    def __init__(
        self,
        database: Database,
        finished: Callable[[Deleted], Deleted],
        forget: Callable[[Sequence[str]], tuple[str, ...]],
    ) -> None:
        """Part of a `Catalog`, which says how previews of deleted sources are removed.

        `forget` erases what waits to be worked on with some digests, and names what stays.
        """
        self._database = database
        self._finished = finished
        self._forget = forget

    def take(
        self,
        *,
        source_ids: Sequence[str] = (),
        sha256s: Sequence[str] = (),
        reason: str,
        told: Told | None = None,
    ) -> TakenDown:
        """Delete the named sources and every other one with the same bytes, in all collections.

        The digests are refused from now on, also those that nothing here has. One that was taken
        down before keeps its first time and reason. The bytes leave the disk with the next
        compaction, which this makes due; images with these bytes that wait in jobs leave it now.
        What cannot be removed now is in `remaining`, and stays due. Those `told` get a message,
        queued with the deletion.

        Raises:
            InvalidField: no reason, or a digest that is none.
        """
        reason = _reason(reason)
        digests = [validation.sha256(value) for value in sha256s]
        with self._database.write() as connection:
            named = _digests_of(connection, source_ids)
            wanted = list(dict.fromkeys([*digests, *named.values()]))
            now = leases.moment(connection)
            deleted = _bury(connection, [Tombstone(digest, now, reason) for digest in wanted])
            if told is not None and wanted:
                record = {
                    "sha256s": wanted,
                    "source_ids": list(deleted.source_ids),
                    "reason": reason,
                }
                message = NewMessage("source.taken_down", record)
                if lost := webhooks.put(connection, [message], told):
                    logger.warning("%d webhooks are lost: too many wait", lost)
        deleted = self._finished(deleted)
        waiting = self._forget(wanted)
        unknown = [name for name in dict.fromkeys(source_ids) if name not in named]
        return TakenDown(
            deleted.generation,
            deleted.source_ids,
            (*unknown, *deleted.missing),
            (*deleted.remaining, *waiting),
            tuple(wanted),
        )

    def among(self, sha256s: Iterable[str]) -> frozenset[str]:
        """Those of the digests that were taken down."""
        with self._database.read() as connection:
            return among(connection, sha256s)

    def every(self) -> tuple[Tombstone, ...]:
        """All tombstones, oldest first."""
        wanted = sa.select(takedowns.c.sha256, takedowns.c.at, takedowns.c.reason)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(takedowns.c.at, takedowns.c.sha256))
            return tuple(Tombstone(*row) for row in rows)

    def put(self, tombstones: Sequence[Tombstone]) -> Deleted:
        """Take over tombstones of another catalog, deleting what they name here."""
        with self._database.write() as connection:
            deleted = _bury(connection, tombstones)
        deleted = self._finished(deleted)
        waiting = self._forget([item.sha256 for item in tombstones])
        return replace(deleted, remaining=(*deleted.remaining, *waiting))

    def lift(self, sha256s: Sequence[str]) -> tuple[str, ...]:
        """Allow these bytes again; returns the digests that had been taken down."""
        digests = [validation.sha256(value) for value in sha256s]
        with self._database.write() as connection:
            lifted = among(connection, digests)
            for some in in_statements(sorted(lifted)):
                connection.execute(sa.delete(takedowns).where(takedowns.c.sha256.in_(some)))
        return tuple(sorted(lifted))


def among(connection: Connection, sha256s: Iterable[str]) -> frozenset[str]:
    """Those of the digests that were taken down."""
    column, digests = takedowns.c.sha256, filter(validation.is_sha256, sha256s)
    rows = rows_among(connection, sa.select(column), column, digests)
    return frozenset(row.sha256 for row in rows)


def refuse(connection: Connection, sha256s: Iterable[str]) -> None:
    """Raise SourceTakenDown where one of the digests was taken down."""
    if refused := among(connection, sha256s):
        raise SourceTakenDown(sorted(refused))


def _bury(connection: Connection, tombstones: Sequence[Tombstone]) -> Deleted:
    """Delete what tombstones name, with the names under which jobs were asked about it."""
    digests = [item.sha256 for item in tombstones]
    deleted = removals.delete(connection, source_ids=(), sha256s=digests, within=None)
    known = among(connection, digests)
    if rows := [asdict(item) for item in tombstones if item.sha256 not in known]:
        connection.execute(sa.insert(takedowns), rows)
    # Also where no source has the bytes any more: what was deleted before, or an addition that came
    # to nothing, may have left copies.
    if job_rows.forget_answered(connection, digests) or deleted.source_ids or rows:
        compaction.want(connection, deleted.generation)
        compaction.again(connection)
    return deleted


def _digests_of(connection: Connection, source_ids: Sequence[str]) -> dict[str, str]:
    wanted = sa.select(sources.c.source_id, sources.c.sha256)
    ids = filter(is_source_id, source_ids)
    rows = rows_among(connection, wanted, sources.c.source_id, ids)
    return {row.source_id: row.sha256 for row in rows}


def _reason(value: str) -> str:
    reason = validation.text("reason", value, longest=REASON_LENGTH).strip()
    if not reason:
        raise InvalidField("reason", "must say why, in a few words")
    return reason

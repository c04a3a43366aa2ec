"""What is still to be told to addresses, and what could not be; sends nothing itself."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.database import Database, rows_among
from attribution.catalog.leases import moment
from attribution.catalog.schema import webhooks

Kind = Literal["source.attributed", "source.taken_down"]
_LONGEST_TROUBLE = 512


@dataclass(frozen=True, slots=True)
class Told:
    """Where something is to be told: each of these addresses, while it has fewer than `most`."""

    urls: tuple[str, ...]
    most: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """Something that happened. The same `message_id` is told an address once while it waits.

    `record` names sources by vector id, as `sources`, a list of objects with a member `source`.
    """

    kind: Kind
    record: Mapping[str, Any]
    message_id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address; `dead` is one that is not tried any more, for its `trouble`."""

    number: int
    message_id: str
    url: str
    kind: Kind
    record: Mapping[str, Any] = field(hash=False)
    attempts: int
    created_at: datetime
    due_at: datetime
    dead: bool
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages wait, and how many were given up."""

    waiting: int
    dead: int


class Webhooks:
    """The catalog's queue of messages; each method is one transaction, for any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, messages: Sequence[NewMessage], told: Told) -> int:
        """Queue messages for each address; returns how many found no room, and are lost."""
        with self._database.write() as connection:
            return put(connection, messages, told)

    def due(self, url: str, *, limit: int = 16) -> tuple[Message, ...]:
        """What an address is to be told now, the longest due first."""
        wanted = (
            sa.select(webhooks)
            .where(webhooks.c.url == url, ~webhooks.c.dead)
            .order_by(webhooks.c.due_at, webhooks.c.number)
            .limit(limit)
        )
        with self._database.read() as connection:
            wanted = wanted.where(webhooks.c.due_at <= moment(connection))
            return tuple(Message(*row) for row in connection.execute(wanted))

    def done(self, number: int) -> None:
        """It was told, or there is nothing left to tell."""
        with self._database.write() as connection:
            connection.execute(sa.delete(webhooks).where(webhooks.c.number == number))

    def failed(self, number: int, trouble: str, *, again_in: timedelta | None) -> None:
        """An attempt came to nothing; None: it is not tried again."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(webhooks)
                .where(webhooks.c.number == number)
                .values(
                    attempts=webhooks.c.attempts + 1,
                    due_at=moment(connection) + (again_in or timedelta()),
                    dead=again_in is None,
                    trouble=trouble[:_LONGEST_TROUBLE],
                )
            )

    def count(self) -> Waiting:
        """How much there is."""
        wanted = sa.select(webhooks.c.dead, sa.func.count()).group_by(webhooks.c.dead)
        with self._database.read() as connection:
            found = {bool(dead): int(count) for dead, count in connection.execute(wanted)}
        return Waiting(found.get(False, 0), found.get(True, 0))

    def every(self, *, limit: int = 1000) -> tuple[Message, ...]:
        """Those given up, then those that wait, oldest first."""
        wanted = sa.select(webhooks).order_by(webhooks.c.dead.desc(), webhooks.c.number)
        with self._database.read() as connection:
            return tuple(Message(*row) for row in connection.execute(wanted.limit(limit)))

    def revive(self) -> int:
        """Try again what was given up, from the first attempt on; returns how many."""
        with self._database.write() as connection:
            revived = connection.execute(
                sa.update(webhooks)
                .where(webhooks.c.dead)
                .values(dead=False, attempts=0, due_at=moment(connection))
            )
            return int(revived.rowcount)

    def forget(self, urls: Collection[str] | None = None) -> int:
        """Delete what was given up; returns how many.

        Args:
            urls: addresses that are told; of others all is deleted. None for any.
        """
        gone: sa.ColumnElement[bool] = webhooks.c.dead
        if urls is not None:
            gone = sa.or_(gone, webhooks.c.url.not_in(sorted(urls)))
        with self._database.write() as connection:
            return int(connection.execute(sa.delete(webhooks).where(gone)).rowcount)


def put(connection: Connection, messages: Sequence[NewMessage], told: Told) -> int:
    """See `Webhooks.put`; a part of another transaction."""
    count = sa.select(webhooks.c.url, sa.func.count()).group_by(webhooks.c.url)
    waiting = {url: int(number) for url, number in connection.execute(count)}
    column = webhooks.c.message_id
    known = {
        (row.message_id, row.url)
        for row in rows_among(
            connection,
            sa.select(column, webhooks.c.url),
            column,
            [message.message_id for message in messages],
        )
    }
    now = moment(connection)
    rows: list[dict[str, Any]] = []
    lost = 0
    for url in told.urls:  # one that takes nothing costs the others nothing
        fresh = [message for message in messages if (message.message_id, url) not in known]
        room = max(0, told.most - waiting.get(url, 0))
        lost += len(fresh[room:])
        rows += [
            {
                "message_id": message.message_id,
                "url": url,
                "kind": message.kind,
                "record": dict(message.record),
                "attempts": 0,
                "created_at": now,
                "due_at": now,
                "dead": False,
                "trouble": None,
            }
            for message in fresh[:room]
        ]
    if rows:
        connection.execute(sa.insert(webhooks), rows)
    return lost

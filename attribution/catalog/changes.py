"""The log of changes that every index follows, numbered without gaps in the order of commits."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.records import Change, Operation
from attribution.catalog.schema import changes, meta


def begin(connection: Connection) -> None:
    """Start the history of a new catalog; leave one that has begun alone."""
    if connection.execute(sa.select(meta.c.epoch)).first() is None:
        connection.execute(sa.insert(meta).values(id=1, epoch=secrets.token_hex(8), generation=0))


def epoch(connection: Connection) -> str:
    """The name of this history: numbers of two epochs do not compare."""
    return str(connection.execute(sa.select(meta.c.epoch)).scalar_one())


def generation(connection: Connection) -> int:
    """The number of the last change; 0 before the first."""
    return int(connection.execute(sa.select(meta.c.generation)).scalar_one())


def append(connection: Connection, operation: Operation, located: Sequence[tuple[int, str]]) -> int:
    """Log `operation` for each (vector_id, collection); returns the last change's number.

    Must run in a write transaction: writers take turns, hence the counter needs no other lock.
    """
    last = generation(connection)
    if not located:
        return last
    now = datetime.now(UTC)
    rows = [
        {
            "generation": number,
            "operation": operation,
            "vector_id": vector_id,
            "collection": collection,
            "at": now,
        }
        for number, (vector_id, collection) in enumerate(located, start=last + 1)
    ]
    connection.execute(sa.insert(changes), rows)
    connection.execute(sa.update(meta).values(generation=last + len(rows)))
    return last + len(rows)


def after(connection: Connection, number: int, *, limit: int) -> tuple[Change, ...]:
    """At most `limit` changes that follow change `number`, oldest first."""
    rows = connection.execute(
        sa.select(
            changes.c.generation, changes.c.operation, changes.c.vector_id, changes.c.collection
        )
        .where(changes.c.generation > number)
        .order_by(changes.c.generation)
        .limit(limit)
    )
    return tuple(Change(*row) for row in rows)


def removed_after(connection: Connection, number: int) -> list[int]:
    """Vector ids that changes after change `number` remove."""
    rows = connection.execute(
        sa.select(changes.c.vector_id).where(
            changes.c.generation > number, changes.c.operation == "remove"
        )
    )
    return [int(row.vector_id) for row in rows]


def count_within(
    connection: Connection, collections: Collection[str], *, after: int, until: int
) -> int:
    """How many changes of these collections have a number in `(after, until]`."""
    return int(
        connection.execute(
            sa.select(sa.func.count())
            .select_from(changes)
            .where(
                changes.c.collection.in_(sorted(collections)),
                changes.c.generation > after,
                changes.c.generation <= until,
            )
        ).scalar_one()
    )


def nth_within(connection: Connection, collections: Collection[str], position: int) -> int | None:
    """The number of the change that is number `position` (from 1) of these collections."""
    found = connection.execute(
        sa.select(changes.c.generation)
        .where(changes.c.collection.in_(sorted(collections)))
        .order_by(changes.c.generation)
        .offset(position - 1)
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else int(found)


def last_within(connection: Connection, collections: Collection[str], *, until: int) -> int:
    """The last change up to `until` that added or removed a source of these; 0 for none."""
    found = connection.execute(
        sa.select(sa.func.max(changes.c.generation)).where(
            changes.c.collection.in_(sorted(collections)),
            changes.c.generation <= until,
            changes.c.operation != "update",
        )
    ).scalar_one()
    return int(found or 0)

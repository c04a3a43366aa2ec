"""Which worker tries which items of jobs; nobody else does as long as its lease holds."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import leases
from attribution.catalog.schema import job_claims, job_items


def is_free(connection: Connection, worker: str) -> sa.ColumnElement[bool]:
    """Whether a worker may try an item: it is its own, or nobody's who still holds a lease."""
    return ~sa.exists().where(
        job_claims.c.job == job_items.c.job,
        job_claims.c.position == job_items.c.position,
        job_claims.c.worker != worker,
        job_claims.c.worker.in_(leases.valid_names(connection)),
    )


def give_to(connection: Connection, number: int, positions: Sequence[int], worker: str) -> None:
    """Let a worker try some items of a job, and count that; one without a name shares no job."""
    _count_attempts(connection, number, positions, 1)
    if worker and positions:
        leave(connection, number, positions)
        rows = [{"job": number, "position": each, "worker": worker} for each in positions]
        connection.execute(sa.insert(job_claims), rows)


def take_back(connection: Connection, number: int, positions: Sequence[int], worker: str) -> None:
    """Items that a worker has not tried after all are anybody's, but for those another has got."""
    others = sa.select(job_claims.c.position).where(
        job_claims.c.job == number, job_claims.c.worker != worker
    )
    theirs = set(connection.execute(others).scalars())
    own = [position for position in positions if position not in theirs]
    _count_attempts(connection, number, own, -1)
    leave(connection, number, own)


def leave(connection: Connection, number: int, positions: Sequence[int]) -> None:
    """Nobody tries these items of a job any more."""
    connection.execute(
        sa.delete(job_claims).where(
            job_claims.c.job == number, job_claims.c.position.in_(positions)
        )
    )


def _count_attempts(connection: Connection, number: int, positions: Sequence[int], by: int) -> None:
    """Add to the attempts of some items of a job."""
    connection.execute(
        sa.update(job_items)
        .where(job_items.c.job == number, job_items.c.position.in_(positions))
        .values(attempts=job_items.c.attempts + by)
    )

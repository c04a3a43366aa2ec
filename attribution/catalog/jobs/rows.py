"""Jobs, their items and their results as rows: finding, listing, inserting and deleting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import cursors, leases, validation
from attribution.catalog.database import in_statements
from attribution.catalog.errors import InvalidField, JobNotFound
from attribution.catalog.jobs import claims
from attribution.catalog.jobs.records import (
    ACTIVE,
    Job,
    JobItem,
    JobPage,
    JobResult,
    Load,
    NewItem,
    NewJob,
)
from attribution.catalog.schema import job_items, job_results, jobs, purged_jobs, takedowns

_JOBS = sa.select(*(jobs.c[field.name] for field in fields(Job)))
_LONGEST_NAME = 1024
_LARGEST_PAGE = 1000
_PARAMETERS_BYTES = 1 << 17
"""As JSON: a key may be limited to a thousand collections, all of which a job is asked within."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """The job that an idempotency key names, and the request that it was made by."""

    number: int
    fingerprint: str


def insert(connection: Connection, job_id: str, new: NewJob) -> Job:
    """Add a job with its items."""
    row = {
        "job_id": job_id,
        "owner": new.owner,
        "state": "queued",
        "parameters": validation.json_object("parameters", new.parameters, most=_PARAMETERS_BYTES),
        "total": len(new.items),
        "completed": 0,
        "failed": 0,
        "idempotency_key": new.idempotency_key,
        "fingerprint": new.fingerprint,
        "created_at": leases.moment(connection),  # compared with that of takedowns
    }
    number = connection.execute(sa.insert(jobs).values(**row).returning(jobs.c.number)).scalar_one()
    rows = [_item_row(number, position, item) for position, item in enumerate(new.items)]
    for some in in_statements(rows):
        connection.execute(sa.insert(job_items), some)
    return by_number(connection, number)


def _item_row(number: int, position: int, item: NewItem) -> dict[str, Any]:
    name = item.filename
    if name is not None:  # a name is for people: what no database holds must not fail the job
        name = name.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        name = name[:_LONGEST_NAME]
    return {
        "job": number,
        "position": position,
        "filename": name,
        "size": item.size,
        "state": "waiting",
        "attempts": 0,
    }


def find(connection: Connection, job_id: str) -> Job:
    """The job of this id; JobNotFound where there is none."""
    # PostgreSQL refuses to look for a NUL; no id is longer than what is stored.
    if "\0" not in job_id and len(job_id) <= 32 and job_id.isascii():
        row = connection.execute(_JOBS.where(jobs.c.job_id == job_id)).first()
        if row is not None:
            return Job(**row._asdict())
    raise JobNotFound(job_id)


def page(connection: Connection, owner: str | None, *, limit: int, cursor: str | None) -> JobPage:
    """At most `limit` jobs of an owner, or of all, the newest first; without those purged.

    Raises:
        InvalidCursor, InvalidField: cursor or limit make no sense.
    """
    if not 1 <= limit <= _LARGEST_PAGE:
        raise InvalidField("limit", f"must be from 1 to {_LARGEST_PAGE}")
    secret = cursors.secret(connection)
    wanted = _JOBS.where(jobs.c.number.not_in(sa.select(purged_jobs.c.job)))
    if owner is not None:
        wanted = wanted.where(jobs.c.owner == owner)
    if cursor is not None:
        wanted = wanted.where(jobs.c.number < cursors.decode(cursor, secret))
    rows = connection.execute(wanted.order_by(jobs.c.number.desc()).limit(limit + 1)).all()
    items = tuple(Job(**row._asdict()) for row in rows[:limit])
    more = len(rows) > limit
    return JobPage(items, cursors.encode(items[-1].number, secret) if more else None)


def by_number(connection: Connection, number: int) -> Job:
    """The job of this number, which exists."""
    return Job(**connection.execute(_JOBS.where(jobs.c.number == number)).one()._asdict())


def find_number(connection: Connection, number: int) -> Job | None:
    """The job of this number, if it is still there."""
    row = connection.execute(_JOBS.where(jobs.c.number == number)).first()
    return None if row is None else Job(**row._asdict())


def under_key(connection: Connection, owner: str, idempotency_key: str) -> Keyed | None:
    """What the owner's idempotency key names."""
    row = connection.execute(
        sa.select(jobs.c.number, jobs.c.fingerprint).where(
            jobs.c.owner == owner, jobs.c.idempotency_key == idempotency_key
        )
    ).first()
    return None if row is None else Keyed(*row)


def count_active(connection: Connection) -> int:
    """How many jobs are unfinished."""
    statement = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state.in_(ACTIVE))
    return int(connection.execute(statement).scalar_one())


def load(connection: Connection) -> Load:
    """How much is to be done."""
    statement = (
        sa.select(jobs.c.state, sa.func.count(), sa.func.sum(jobs.c.total - jobs.c.completed))
        .where(jobs.c.state.in_(ACTIVE))
        .group_by(jobs.c.state)
    )
    rows = {state: (count, images) for state, count, images in connection.execute(statement)}
    queued, running = rows.get("queued", (0, 0)), rows.get("running", (0, 0))
    return Load(int(queued[0]), int(running[0]), int(queued[1] + running[1]))


def active_ids(connection: Connection) -> list[str]:
    """Ids of the jobs that have not ended."""
    statement = sa.select(jobs.c.job_id).where(jobs.c.state.in_(ACTIVE))
    return [str(job_id) for job_id in connection.execute(statement).scalars()]


def taken_down_since(connection: Connection) -> dict[str, frozenset[str]]:
    """By id of each job that has not ended, the digests taken down since it was made."""
    statement = (
        sa.select(jobs.c.job_id, takedowns.c.sha256)
        .join(takedowns, takedowns.c.at >= jobs.c.created_at)
        .where(jobs.c.state.in_(ACTIVE))
    )
    found: dict[str, set[str]] = {}
    for job_id, digest in connection.execute(statement):
        found.setdefault(str(job_id), set()).add(str(digest))
    return {job_id: frozenset(digests) for job_id, digests in found.items()}


def forget_answered(connection: Connection, sha256s: Collection[str]) -> int:
    """Empty the file names of items that were answered and had these bytes; how many."""
    forgotten = 0
    for some in in_statements(sorted(sha256s)):
        answered = sa.select(job_results.c.job, job_results.c.position).where(
            job_results.c.sha256.in_(some)
        )
        forgotten += connection.execute(
            sa.update(job_items)
            .where(
                sa.tuple_(job_items.c.job, job_items.c.position).in_(answered),
                job_items.c.filename.is_not(None),
            )
            .values(filename=None)
        ).rowcount
    return forgotten


def forget_waiting(connection: Connection, job_id: str, positions: Sequence[int]) -> None:
    """Empty the file names of some items of a job."""
    number = sa.select(jobs.c.number).where(jobs.c.job_id == job_id).scalar_subquery()
    for some in in_statements(positions):
        connection.execute(
            sa.update(job_items)
            .where(job_items.c.job == number, job_items.c.position.in_(some))
            .values(filename=None)
        )


def next_active(connection: Connection, after: int, worker: str) -> int | None:
    """The number of the job with work for a worker that follows `after`, in a circle."""
    work = sa.exists().where(
        job_items.c.job == jobs.c.number,
        job_items.c.state == "waiting",
        claims.is_free(connection, worker),
    )
    statement = (
        sa.select(jobs.c.number)
        .where(jobs.c.state.in_(ACTIVE), work)
        .order_by(jobs.c.number <= after, jobs.c.number)
        .limit(1)
    )
    number = connection.execute(statement).scalar_one_or_none()
    return None if number is None else int(number)


def ended_before(connection: Connection, moment: datetime) -> dict[int, str]:
    """Ids by number of the jobs that ended before a moment."""
    rows = connection.execute(
        sa.select(jobs.c.number, jobs.c.job_id).where(jobs.c.ended_at < moment)
    )
    return {int(number): str(job_id) for number, job_id in rows}


def purge(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete what jobs hold, and note that they are to go; `delete` them once their files have."""
    now = datetime.now(UTC)
    for some in in_statements(numbers):
        connection.execute(sa.delete(job_results).where(job_results.c.job.in_(some)))
        connection.execute(sa.delete(job_items).where(job_items.c.job.in_(some)))
        mine = jobs.c.number.in_(some)
        connection.execute(sa.update(jobs).where(mine).values(idempotency_key=None))
        connection.execute(
            sa.update(jobs)
            .where(mine, jobs.c.state.in_(ACTIVE))
            .values(state="cancelled", ended_at=now)
        )
        noted = sa.select(purged_jobs.c.job)
        fresh = sa.select(jobs.c.number, sa.literal(now, purged_jobs.c.at.type)).where(
            mine, jobs.c.number.not_in(noted)
        )
        connection.execute(sa.insert(purged_jobs).from_select(["job", "at"], fresh))


def purged(connection: Connection) -> dict[int, str]:
    """Ids by number of the jobs that are to go."""
    rows = connection.execute(
        sa.select(jobs.c.number, jobs.c.job_id).join(
            purged_jobs, purged_jobs.c.job == jobs.c.number
        )
    )
    return {int(number): str(job_id) for number, job_id in rows}


def delete(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete jobs; items and results go with them (ON DELETE CASCADE)."""
    for some in in_statements(numbers):
        connection.execute(sa.delete(jobs).where(jobs.c.number.in_(some)))


def waiting_items(
    connection: Connection, number: int, limit: int, worker: str
) -> tuple[JobItem, ...]:
    """Items of a job that nobody else works on and that have not ended, the least tried first.

    `attempts` counts the next one.
    """
    rows = connection.execute(
        sa.select(
            job_items.c.position,
            job_items.c.filename,
            job_items.c.size,
            job_items.c.attempts + 1,
        )
        .where(
            job_items.c.job == number,
            job_items.c.state == "waiting",
            claims.is_free(connection, worker),
        )
        .order_by(job_items.c.attempts, job_items.c.position)
        .limit(limit)
    )
    return tuple(JobItem(*row) for row in rows)


def waiting(connection: Connection, job_id: str) -> set[int] | None:
    """Positions of a job that have not ended; None where there is no such job."""
    number = connection.execute(
        sa.select(jobs.c.number).where(jobs.c.job_id == job_id)
    ).scalar_one_or_none()
    if number is None:
        return None
    statement = sa.select(job_items.c.position).where(
        job_items.c.job == number, job_items.c.state == "waiting"
    )
    return set(connection.execute(statement).scalars())


def results(
    connection: Connection, number: int, *, after: int, limit: int
) -> tuple[JobResult, ...]:
    """At most `limit` results that follow `after`, in the order of ending."""
    rows = connection.execute(
        sa.select(
            job_results.c.sequence,
            job_results.c.position,
            job_items.c.filename,
            job_results.c.record,
            job_results.c.failed,
            job_results.c.sha256,
        )
        .join(
            job_items,
            sa.and_(
                job_items.c.job == job_results.c.job,
                job_items.c.position == job_results.c.position,
            ),
        )
        .where(job_results.c.job == number, job_results.c.sequence > after)
        .order_by(job_results.c.sequence)
        .limit(limit)
    )
    return tuple(JobResult(*row) for row in rows)

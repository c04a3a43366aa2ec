"""Jobs: large batches that survive a crash. A result and the end of its item are one commit.

Knows neither what is asked of an image nor how it is answered.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import compaction
from attribution.catalog.database import Database
from attribution.catalog.errors import IdempotencyKeyReused, TooManyJobs
from attribution.catalog.jobs import claims
from attribution.catalog.jobs import rows as job_rows
from attribution.catalog.jobs.inputs import Incoming, JobInputs
from attribution.catalog.jobs.records import (
    ACTIVE,
    Claimed,
    Created,
    Ended,
    Job,
    JobItem,
    JobPage,
    JobResult,
    JobState,
    Load,
    NewJob,
)
from attribution.catalog.schema import job_items, job_results, jobs


class Jobs:
    """The jobs of a catalog, with the files they wait to work on.

    Each method is one short transaction. Any number of workers may claim: the first to end an item
    wins, and what others hand in for it is dropped.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        """Use `Catalog.jobs` instead."""
        self._database = database
        self._inputs = JobInputs(folder)
        self.place = self._inputs.place

    @property
    def unerased(self) -> bool:
        """Whether files of jobs that ought to be gone are known to be there; `sweep` mends it."""
        return self._inputs.unerased

    def look_for_unerased(self) -> bool:
        """Find out whether there are any, which another process may know of, and know it then."""
        with self._database.read() as connection:
            self._inputs.look(lambda job_id: job_rows.waiting(connection, job_id))
        return self.unerased

    def receive(self) -> Incoming:
        """A folder for the files of a new job; raises StorageFull, StorageUnwritable."""
        return self._inputs.receive("job_" + _random_name())

    def create(self, incoming: Incoming, new: NewJob, *, most_active: int) -> Created:
        """Accept a job whose files are in `incoming`; on return it survives a power cut.

        Where the owner has used the idempotency key before for the same request, that job is
        returned, and the files are left to be dropped.

        Raises:
            IdempotencyKeyReused: the key belongs to another request.
            TooManyJobs: `most_active` jobs are unfinished already.
        """
        with self.place.writing():
            incoming.make_durable()
        with self._database.write() as connection:
            if earlier := _earlier(connection, new):
                return Created(earlier, created=False)
            active = job_rows.count_active(connection)
            if active >= most_active:
                raise TooManyJobs(active)
            job = job_rows.insert(connection, incoming.job_id, new)
            # A commit may have happened though it seems to fail; files of no job are swept.
            incoming.keep()
        return Created(job, created=True)

    def is_key_used(self, owner: str, idempotency_key: str) -> bool:
        """Whether the owner has made a job under this key."""
        with self._database.read() as connection:
            return job_rows.under_key(connection, owner, idempotency_key) is not None

    def count_active(self) -> int:
        """How many jobs are unfinished."""
        with self._database.read() as connection:
            return job_rows.count_active(connection)

    def load(self) -> Load:
        """How much is to be done."""
        with self._database.read() as connection:
            return job_rows.load(connection)

    def find(self, job_id: str) -> Job:
        """One job; raises JobNotFound."""
        with self._database.read() as connection:
            return job_rows.find(connection, job_id)

    def page(self, owner: str | None, *, limit: int = 100, cursor: str | None = None) -> JobPage:
        """The jobs of an owner, or of all where that is None, the newest first, 1 to 1000 a page.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
            InvalidField: `limit` makes no sense.
        """
        with self._database.read() as connection:
            return job_rows.page(connection, owner, limit=limit, cursor=cursor)

    def results(self, job_id: str, *, after: int = 0, limit: int = 500) -> tuple[JobResult, ...]:
        """At most `limit` results that follow result `after`, in the order of ending.

        Raises:
            JobNotFound: there is none of this id, perhaps no more.
        """
        with self._database.read() as connection:
            number = job_rows.find(connection, job_id).number
            return job_rows.results(connection, number, after=after, limit=limit)

    def cancel(self, job_id: str) -> Job:
        """End a job: results stay, other items get none. One that has ended stays as it is.

        Raises:
            JobNotFound: there is none of this id.
        """
        with self._database.write() as connection:
            job = job_rows.find(connection, job_id)
            if job.active:
                connection.execute(
                    sa.update(job_items)
                    .where(job_items.c.job == job.number, job_items.c.state == "waiting")
                    .values(state="cancelled")
                )
                _set_state(connection, job, "cancelled")
                job = job_rows.find(connection, job_id)
        self._inputs.remove_folder(job_id)
        return job

    def remaining(self, job: Job) -> tuple[str, ...]:
        """What of a job that has ended is still on the disk, relative to the data folder."""
        return () if job.active else self._inputs.remaining(job.job_id)

    def delete(self, job_id: str) -> tuple[str, ...]:
        """Purge a job in whatever state, with results and files; raises JobNotFound.

        Returns:
            What could not be removed from the disk. As long as there is something, the job is
            there as well, ended and without any result; `sweep` tries again.
        """
        with self._database.write() as connection:
            number = job_rows.find(connection, job_id).number
            job_rows.purge(connection, [number])
        self._finish_purging({number: job_id})
        return self._inputs.remaining(job_id)

    def purge(self, *, ended_before: datetime) -> int:
        """Purge the jobs that ended before a moment; how many are gone."""
        with self._database.read() as connection:
            if not job_rows.ended_before(connection, ended_before):
                return 0
        with self._database.write() as connection:
            old = job_rows.ended_before(connection, ended_before)
            job_rows.purge(connection, list(old))
        return self._finish_purging(old)

    # For workers

    def claim(self, limit: int, *, after: int = 0, worker: str = "") -> Claimed | None:
        """Some waiting items of one active job: the next after job number `after`, in turns.

        Items never tried come first; one whose attempt came to nothing comes alone, so that an
        image which brings a process down takes no other with it. None when nothing waits.

        Nobody else gets them as long as the lease that is named like the worker holds. The worker
        itself gets them again: it asks when it works on nothing.
        """
        with self._database.read() as connection:
            if job_rows.next_active(connection, after, worker) is None:
                return None
        with self._database.write() as connection:
            number = job_rows.next_active(connection, after, worker)
            if number is None:
                return None
            items = _to_try(connection, number, limit, worker)
            positions = [item.position for item in items]
            claims.give_to(connection, number, positions, worker)
            connection.execute(
                sa.update(jobs)
                .where(jobs.c.number == number, jobs.c.state == "queued")
                .values(state="running", started_at=datetime.now(UTC))
            )
            return Claimed(job_rows.by_number(connection, number), items, worker)

    def open_input(self, job: Job, item: JobItem) -> BinaryIO:
        """The bytes of an item; FileNotFoundError once it has ended, or where they are lost."""
        return self._inputs.open(job.job_id, item.position)

    def release(self, claimed: Claimed, positions: Sequence[int]) -> None:
        """Give items back that were not tried after all; one that another has got stays its."""
        if not positions:
            return
        with self._database.write() as connection:
            claims.take_back(connection, claimed.job.number, positions, claimed.worker)

    def complete(self, job: Job, ended: Sequence[Ended]) -> int:
        """Record how items ended and erase their files; how many of them had not ended before."""
        if not ended:
            return 0
        with self._database.write() as connection:
            found = job_rows.find_number(connection, job.number)
            if found is None or not found.active:
                return 0
            fresh = [item for item in ended if _end_item(connection, job.number, item.position)]
            if fresh:
                claims.leave(connection, job.number, [item.position for item in fresh])
                _record(connection, found, fresh)
        self._erase(job, [item.position for item in ended])
        return len(fresh)

    def sweep(self) -> None:
        """Remove files that a crash has left behind, and what it kept `forget` from erasing.

        And whatever else was to go and could not be removed when that was tried.
        """
        with self._database.read() as connection:
            # Asked job by job while no other process may add one.
            self._inputs.sweep(lambda job_id: job_rows.waiting(connection, job_id))
            forgotten = job_rows.taken_down_since(connection)
            purged = job_rows.purged(connection)
        self._finish_purging(purged)
        for job_id, digests in forgotten.items():
            self._forget(digests, [job_id])

    def forget(self, sha256s: Collection[str]) -> tuple[str, ...]:
        """Erase the files with these bytes that jobs wait to work on; those that could not be.

        Their items lose the name of the file, and end with a problem. What is sent afterwards is
        another query, and kept as long as any.
        """
        with self._database.read() as connection:
            waiting = job_rows.active_ids(connection)
        return self._forget(frozenset(sha256s), waiting)

    def _forget(self, sha256s: frozenset[str], job_ids: Sequence[str]) -> tuple[str, ...]:
        erased, stayed = self._inputs.erase_bytes(sha256s, job_ids)
        with self._database.write() as connection:
            for job_id, positions in erased.items():
                job_rows.forget_waiting(connection, job_id, positions)
            # One that was answered since the takedown has no file any more, but a name.
            if job_rows.forget_answered(connection, sha256s) or erased:
                compaction.again(connection)
        return stayed

    def _finish_purging(self, purged: Mapping[int, str]) -> int:
        """Remove the folders of purged jobs, and the jobs whose folder is gone; how many."""
        gone = [number for number, job_id in purged.items() if self._inputs.remove_folder(job_id)]
        if gone:
            with self._database.write() as connection:
                job_rows.delete(connection, gone)
        return len(gone)

    def _erase(self, job: Job, positions: Sequence[int]) -> None:
        self._inputs.erase(job.job_id, positions)
        with self._database.read() as connection:
            found = job_rows.find_number(connection, job.number)
        if found is None or not found.active:
            self._inputs.remove_folder(job.job_id)


def _earlier(connection: Connection, new: NewJob) -> Job | None:
    if new.idempotency_key is None:
        return None
    earlier = job_rows.under_key(connection, new.owner, new.idempotency_key)
    if earlier is None:
        return None
    if earlier.fingerprint != new.fingerprint:
        raise IdempotencyKeyReused(new.idempotency_key)
    return job_rows.by_number(connection, earlier.number)


def _to_try(connection: Connection, number: int, limit: int, worker: str) -> tuple[JobItem, ...]:
    items = job_rows.waiting_items(connection, number, limit, worker)
    untried = tuple(item for item in items if item.attempts == 1)
    return untried or items[:1]


def _end_item(connection: Connection, number: int, position: int) -> bool:
    """Whether this call is the one that ended the item."""
    changed = connection.execute(
        sa.update(job_items)
        .where(
            job_items.c.job == number,
            job_items.c.position == position,
            job_items.c.state == "waiting",
        )
        .values(state="ended")
    )
    return changed.rowcount == 1


def _record(connection: Connection, job: Job, fresh: Sequence[Ended]) -> None:
    rows = [
        {
            "job": job.number,
            "sequence": sequence,
            "position": item.position,
            "record": dict(item.record),
            "failed": item.failed,
            "sha256": item.sha256,
        }
        for sequence, item in enumerate(fresh, start=job.completed + 1)
    ]
    connection.execute(sa.insert(job_results), rows)
    completed = job.completed + len(fresh)
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.number == job.number)
        .values(completed=completed, failed=job.failed + sum(item.failed for item in fresh))
    )
    if completed == job.total:
        _set_state(connection, job, "finished")


def _set_state(connection: Connection, job: Job, state: JobState) -> None:
    ended = None if state in ACTIVE else datetime.now(UTC)
    connection.execute(
        sa.update(jobs).where(jobs.c.number == job.number).values(state=state, ended_at=ended)
    )


def _random_name() -> str:
    return base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]

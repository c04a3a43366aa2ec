"""What jobs take and give: frozen records, and nothing that knows of SQL, files or HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

JobState = Literal["queued", "running", "finished", "cancelled"]
ACTIVE: tuple[JobState, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class NewItem:
    """One file of a new job; its bytes lie in the job's folder unless they are too many."""

    filename: str | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job about to be accepted.

    Attributes:
        parameters: what is asked of every image; kept as given.
        items: in the order sent.
        owner: who made it; idempotency keys of two owners never meet.
        idempotency_key: under which the owner may send the same request again.
        fingerprint: says whether two requests are the same.
    """

    parameters: Mapping[str, Any] = field(hash=False)
    items: Sequence[NewItem]
    owner: str = ""
    idempotency_key: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A batch of images to be answered; `completed` counts results, `failed` those with a problem.

    `number` grows with every job and is never given out twice.
    """

    number: int
    job_id: str
    owner: str
    state: JobState
    parameters: Mapping[str, Any] = field(hash=False)
    total: int
    completed: int
    failed: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def active(self) -> bool:
        """Whether items may still end."""
        return self.state in ACTIVE


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, the newest first; `next_cursor` is None on the last page."""

    items: tuple[Job, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Load:
    """How much is to be done: jobs by state, and images of theirs that have no result."""

    queued: int
    running: int
    images: int


@dataclass(frozen=True, slots=True)
class Created:
    """A job after `create`; not `created` where the idempotency key has named it before."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class JobItem:
    """One image of a job to be worked on now; `attempts` counts this one."""

    position: int
    filename: str | None
    size: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """Some items of one job, to be worked on together, and by whom."""

    job: Job
    items: tuple[JobItem, ...]
    worker: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How an item ended: a JSON record, whether that says what went wrong, and of which bytes."""

    position: int
    record: Mapping[str, Any] = field(hash=False)
    failed: bool
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """An ended item; `sequence` numbers the results of a job from 1, in the order of ending."""

    sequence: int
    position: int
    filename: str | None
    record: Mapping[str, Any] = field(hash=False)
    failed: bool
    sha256: str | None

"""Jobs as they are asked for and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.addresses import address
from app.schemas.text import CollectionName
from app.settings import Guarantee
from attribution.catalog import Job

EXAMPLE: dict[str, Any] = {
    "job_id": "job_4k7q2mzv5hx3nw6ty2ab",
    "state": "finished",
    "total": 5000,
    "completed": 5000,
    "failed": 3,
    "parameters": {
        "top_k": 10,
        "alpha": 0.01,
        "guarantee": "average",
        "no_source": None,
        "recall": None,
        "any_way_up": False,
        "collection": ["default"],
    },
    "created_at": "2026-01-01T12:00:00Z",
    "started_at": "2026-01-01T12:00:01Z",
    "ended_at": "2026-01-01T12:09:30Z",
    "expires_at": "2026-01-08T12:09:30Z",
    "results_url": "/v1/jobs/job_4k7q2mzv5hx3nw6ty2ab/results",
    "remaining": [],
}


class JobQuestion(BaseModel):
    """What is asked of every image of a job."""

    top_k: int
    alpha: float
    guarantee: Guarantee = "average"
    no_source: float | None = Field(default=None, description="null: what shares were fitted with.")
    recall: float | None = Field(default=None, description="null: `top_k` sources are listed.")
    any_way_up: bool = False
    collection: list[CollectionName] | None = Field(description="null: all collections.")


class JobDocument(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """A job and how far it is."""

    job_id: str
    state: Literal["queued", "running", "finished", "cancelled"]
    total: int = Field(description="Images sent.")
    completed: int = Field(description="Images that have a result, be it a problem.")
    failed: int = Field(description="Those of them that have a problem.")
    parameters: JobQuestion
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None = Field(
        description="When it is purged with its results; null while it has not ended."
    )
    results_url: str
    remaining: list[str] = Field(
        description="Images of a job that has ended and that are on the disk nevertheless, as "
        "folders in the data folder; the service tries again to remove them."
    )

    @classmethod
    def of(cls, job: Job, *, kept: timedelta, remaining: Sequence[str]) -> JobDocument:
        """A job of the catalog, which is purged when it has been over for so long."""
        return cls(
            remaining=list(remaining),
            **asdict(job),
            expires_at=None if job.ended_at is None else job.ended_at + kept,
            results_url=address(f"/v1/jobs/{job.job_id}/results"),
        )


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    items: list[JobDocument]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class JobListParameters(BaseModel, extra="forbid"):
    """The page of jobs to show."""

    limit: int = Field(default=20, ge=1, le=1000, description="Jobs a page.")
    cursor: str | None = Field(
        default=None, max_length=256, description="`next_cursor` of the page before."
    )


class ResultParameters(BaseModel, extra="forbid"):
    """Which results to read."""

    after: int = Field(
        default=0, ge=0, le=2**31 - 1, description="`sequence` of the last result already read."
    )

"""Who may see and end a job: the one place that every endpoint of a job asks.

Which scope the endpoints need is said in `app/access/scopes.py`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path

from app.access.caller import Caller, CallerDependency
from app.service.service import ServiceDependency
from attribution.catalog import Job, JobNotFound


def owner_of(caller: CallerDependency) -> str:
    """Under whose name a caller makes jobs; empty where the service has no keys."""
    return caller.key_id or ""


def sees(caller: Caller, job: Job) -> bool:
    """Whether a caller may see a job: its maker, and whoever administers the whole catalog."""
    if owner_of(caller) == job.owner:
        return True
    return "admin" in caller.scopes and caller.collections is None


def _job(
    job_id: Annotated[str, Path(description="Id of a job.", max_length=64)],
    service: ServiceDependency,
    caller: CallerDependency,
) -> Job:
    """The job that a path names, if the caller may see it; else it is as if there were none."""
    job = service.catalog.jobs.find(job_id)
    if not sees(caller, job):
        raise JobNotFound(job_id)
    return job


OwnerDependency = Annotated[str, Depends(owner_of)]
JobDependency = Annotated[Job, Depends(_job)]

"""Jobs as a client follows them, and what they keep on the disk."""

import json

from app.settings import Settings
from tests.support.folders import files_below
from tests.support.service import Running
from tests.support.waiting import wait_for


def read(served: Running, job: dict, after: int = 0) -> list[dict]:
    response = served.client.get(job["results_url"], params={"after": after})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/jsonl")
    return [json.loads(line) for line in response.text.splitlines()]


def state(served: Running, job: dict) -> dict:
    return served.client.get(f"/v1/jobs/{job['job_id']}").json()


def ended(served: Running, job: dict) -> dict:
    wait_for(lambda: state(served, job)["ended_at"] is not None)
    return state(served, job)


def finished(served: Running, job: dict) -> dict:
    """Its state once it has ended and its images are erased, which follows its last result."""
    ended(served, job)
    wait_for(lambda: not (served.service.settings.data / "jobs" / job["job_id"]).exists())
    return state(served, job)


def inputs(settings: Settings) -> list[str]:
    names = (path.name for path in files_below(settings.data / "jobs"))
    return sorted(name for name in names if name != ".lock")

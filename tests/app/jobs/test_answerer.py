"""Which failures count against the image that was tried, and which against nobody."""

from __future__ import annotations

from datetime import UTC, datetime

from app.jobs.answerer import MAX_ATTEMPTS, Outcome, _failures_of
from attribution.catalog import Job, JobItem
from attribution.index import IndexUnavailable


def test_no_image_ends_because_the_index_is_away():
    job = Job(
        number=1,
        job_id="job_1",
        owner="",
        state="running",
        parameters={},
        total=2,
        completed=0,
        failed=0,
        created_at=datetime.now(UTC),
        started_at=None,
        ended_at=None,
    )
    items = [JobItem(number, None, 9, MAX_ATTEMPTS) for number in range(2)]
    waiting, failing = Outcome(), Outcome()
    with _failures_of(job, items, waiting):
        raise IndexUnavailable("Milvus does not answer")
    assert waiting == Outcome(given_back=[0, 1], retried=2)
    with _failures_of(job, items, failing):
        raise RuntimeError("the encoder failed")
    assert [ended.position for ended in failing.ended] == [0, 1]

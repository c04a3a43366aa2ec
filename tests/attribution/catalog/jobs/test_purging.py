"""Jobs whose images cannot be removed: they are not gone, say so, and are purged later."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from attribution.catalog import Catalog, Ended, JobNotFound, NewItem, NewJob


def accept(catalog: Catalog, items: int = 2, **fields):
    incoming = catalog.jobs.receive()
    for position in range(items):
        incoming.path(position).write_bytes(b"image %d" % position)
    names = [NewItem(f"{position}.jpg", 7) for position in range(items)]
    job = catalog.jobs.create(incoming, NewJob(parameters={}, items=names, **fields), most_active=9)
    incoming.close()
    return job.job


@pytest.fixture
def stuck(monkeypatch):
    """Have nothing removed, as in a folder of another user."""
    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir", "remove"):

            def fail(path, *_, **__):
                raise PermissionError(13, "Permission denied", str(path))

            patch.setattr(os, name, fail)
        yield patch


def left(tmp_path) -> list[str]:
    folders = (tmp_path / "data" / "jobs").iterdir()
    return sorted(path.name for path in folders if path.name != ".lock")


def test_a_job_that_is_purged_stays_until_its_images_are_gone(catalog, tmp_path, stuck):
    job = accept(catalog, owner="a", idempotency_key="k")
    catalog.jobs.complete(job, [Ended(0, {"answer": 0}, failed=False)])

    assert catalog.jobs.delete(job.job_id) == (f"jobs/{job.job_id}",)

    found = catalog.jobs.find(job.job_id)
    assert (found.state, found.active) == ("cancelled", False)
    assert found.ended_at is not None
    assert catalog.jobs.results(job.job_id) == ()
    assert catalog.jobs.remaining(found) == (f"jobs/{job.job_id}",)
    assert catalog.jobs.unerased
    assert catalog.jobs.claim(5) is None
    assert not catalog.jobs.is_key_used("a", "k")
    assert catalog.jobs.delete(job.job_id) == (f"jobs/{job.job_id}",), "and again"
    catalog.jobs.sweep()
    assert catalog.jobs.find(job.job_id) == found

    stuck.undo()
    catalog.jobs.sweep()
    assert left(tmp_path) == []
    assert not catalog.jobs.unerased
    with pytest.raises(JobNotFound):
        catalog.jobs.find(job.job_id)


def test_whatever_process_comes_next_finishes_it(tmp_path, url, stuck):
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        job = accept(catalog)
        catalog.jobs.delete(job.job_id)
    stuck.undo()
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        assert catalog.jobs.find(job.job_id).state == "cancelled"
        catalog.jobs.sweep()
        assert left(tmp_path) == []
        with pytest.raises(JobNotFound):
            catalog.jobs.find(job.job_id)


def test_a_process_that_is_killed_between_the_two_has_purged_it_after_the_next_start(
    tmp_path, url, monkeypatch
):
    with Catalog.open(tmp_path / "data", url=url) as catalog, monkeypatch.context() as killed:
        job = accept(catalog)
        killed.setattr(catalog.jobs, "_finish_purging", lambda purged: 0)
        catalog.jobs.delete(job.job_id)
        assert left(tmp_path) == [job.job_id]
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        catalog.jobs.sweep()
        assert left(tmp_path) == []
        with pytest.raises(JobNotFound):
            catalog.jobs.find(job.job_id)


def test_a_cancelled_job_says_what_remains(catalog, tmp_path, stuck):
    job = accept(catalog)
    assert catalog.jobs.remaining(job) == (), "it waits"

    cancelled = catalog.jobs.cancel(job.job_id)

    assert catalog.jobs.remaining(cancelled) == (f"jobs/{job.job_id}",)
    stuck.undo()
    catalog.jobs.sweep()
    assert catalog.jobs.remaining(catalog.jobs.find(job.job_id)) == ()
    assert left(tmp_path) == []


def test_old_jobs_go_once_their_images_can(catalog, tmp_path, stuck):
    job, other = accept(catalog, 1), accept(catalog, 1)
    for each in (job, other):
        catalog.jobs.complete(each, [Ended(0, {}, failed=False)])
    later = datetime.now(UTC) + timedelta(hours=1)
    assert catalog.jobs.purge(ended_before=later) == 0
    assert catalog.jobs.find(job.job_id).state == "finished"
    assert catalog.jobs.purge(ended_before=later) == 0
    stuck.undo()
    assert catalog.jobs.purge(ended_before=later) == 2
    assert left(tmp_path) == []


def test_another_process_finds_what_is_left_and_nothing_else(catalog, tmp_path, url, stuck):
    waiting, purged = accept(catalog), accept(catalog)
    with Catalog.open(tmp_path / "data", url=url) as other:
        assert not other.jobs.look_for_unerased()
        catalog.jobs.delete(purged.job_id)
        assert not other.jobs.unerased
        assert other.jobs.look_for_unerased()
        assert other.jobs.unerased
        stuck.undo()
        catalog.jobs.sweep()
        other.jobs.sweep()
        assert not other.jobs.look_for_unerased()
    assert left(tmp_path) == [waiting.job_id]


def test_what_is_being_received_is_not_left_over(catalog, tmp_path, url):
    incoming = catalog.jobs.receive()
    incoming.path(0).write_bytes(b"half of it")
    with Catalog.open(tmp_path / "data", url=url) as other:
        assert not other.jobs.look_for_unerased()
        incoming.keep()  # as if its process had been killed before the job was made
        incoming.close()
        assert other.jobs.look_for_unerased()
        other.jobs.sweep()
        assert not other.jobs.look_for_unerased()
    assert left(tmp_path) == []

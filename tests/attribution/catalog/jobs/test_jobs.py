"""Jobs in the catalog: each item ends once, whoever works on it and whatever crashes."""

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from attribution.catalog import (
    Catalog,
    CatalogUnusable,
    Ended,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidField,
    JobNotFound,
    NewItem,
    NewJob,
    TooManyJobs,
)


def accept(catalog: Catalog, items: int = 3, *, most_active: int = 10, **fields):
    incoming = catalog.jobs.receive()
    try:
        for position in range(items):
            with incoming.path(position).open("xb") as file:
                file.write(b"image %d" % position)
        names = [NewItem(f"{position}.jpg", 7) for position in range(items)]
        new = NewJob(parameters={"top_k": 3}, items=names, **fields)
        return catalog.jobs.create(incoming, new, most_active=most_active).job
    finally:
        incoming.close()


def ended(position: int, *, failed: bool = False) -> Ended:
    return Ended(position, {"answer": position}, failed)


def input_files(catalog: Catalog, tmp_path) -> list[str]:
    paths = (tmp_path / "data" / "jobs").rglob("*")
    return sorted(path.name for path in paths if path.is_file() and path.name != ".lock")


def test_a_claim_has_the_items_in_order_with_their_bytes(catalog):
    job = accept(catalog)
    claimed = catalog.jobs.claim(2)
    assert claimed is not None
    assert (claimed.job.job_id, claimed.job.state) == (job.job_id, "running")
    assert [(item.position, item.filename) for item in claimed.items] == [
        (0, "0.jpg"),
        (1, "1.jpg"),
    ]
    for item in claimed.items:
        with catalog.jobs.open_input(claimed.job, item) as file:
            assert file.read() == b"image %d" % item.position


def test_results_in_the_order_of_ending_and_the_input_gone(catalog, tmp_path):
    job = accept(catalog)
    assert catalog.jobs.complete(job, [ended(2)]) == 1
    assert input_files(catalog, tmp_path) == ["0", "1"]
    assert catalog.jobs.complete(job, [ended(0, failed=True), ended(1)]) == 2
    results = catalog.jobs.results(job.job_id)
    assert [(item.sequence, item.position, item.failed) for item in results] == [
        (1, 2, False), (2, 0, True), (3, 1, False),
    ]  # fmt: skip
    assert catalog.jobs.results(job.job_id, after=1, limit=1) == (results[1],)
    found = catalog.jobs.find(job.job_id)
    assert (found.state, found.completed, found.failed) == ("finished", 3, 1)
    assert found.ended_at is not None
    assert catalog.jobs.claim(5) is None
    assert input_files(catalog, tmp_path) == []


def test_what_ended_before_is_not_recorded_again(catalog):
    job = accept(catalog)
    first, second = catalog.jobs.claim(3), catalog.jobs.claim(3)
    assert first is not None
    assert second is not None
    assert catalog.jobs.complete(first.job, [ended(0)]) == 1
    assert catalog.jobs.complete(second.job, [ended(0), ended(1)]) == 1
    assert [item.position for item in catalog.jobs.results(job.job_id)] == [0, 1]
    assert catalog.jobs.find(job.job_id).completed == 2


def test_an_item_tried_before_comes_last_and_alone(catalog):
    accept(catalog, 4)
    first = catalog.jobs.claim(2)
    assert first is not None
    rest = catalog.jobs.claim(4)
    assert rest is not None
    assert [item.position for item in rest.items] == [2, 3]
    assert catalog.jobs.complete(rest.job, [ended(2), ended(3)]) == 2
    again = catalog.jobs.claim(4)
    assert again is not None
    assert [(item.position, item.attempts) for item in again.items] == [(0, 2)]
    catalog.jobs.release(again, [0])
    catalog.jobs.release(first, [1])
    untried = catalog.jobs.claim(4)
    assert untried is not None
    assert [(item.position, item.attempts) for item in untried.items] == [(1, 1)]


def test_jobs_take_turns(catalog):
    numbers = [accept(catalog).number for _ in range(3)]
    seen, last = [], 0
    for _ in range(5):
        claimed = catalog.jobs.claim(1, after=last)
        assert claimed is not None
        last = claimed.job.number
        seen.append(last)
    assert seen == [*numbers, *numbers[:2]]


def test_a_crash_after_accepting_loses_nothing(tmp_path, url):
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        job = accept(catalog)
        claimed = catalog.jobs.claim(2)
        assert claimed is not None
        catalog.jobs.complete(claimed.job, [ended(0)])
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        catalog.jobs.sweep()
        assert input_files(catalog, tmp_path) == ["1", "2"]
        assert catalog.jobs.find(job.job_id).completed == 1


def test_a_sweep_removes_what_no_waiting_item_needs(catalog, tmp_path):
    job = accept(catalog)
    jobs = tmp_path / "data" / "jobs"
    (jobs / "job_that_was_never_accepted").mkdir()
    (jobs / "job_that_was_never_accepted" / "0").write_bytes(b"image")
    catalog.jobs.complete(job, [ended(0)])
    (jobs / job.job_id / "0").write_bytes(b"image 0 again")  # as if the crash came before erasing
    receiving = catalog.jobs.receive()
    catalog.jobs.sweep()
    assert len(input_files(catalog, tmp_path)) == 4, "not while a job is being received"
    receiving.close()
    catalog.jobs.sweep()
    assert input_files(catalog, tmp_path) == ["1", "2"]


def test_what_is_not_accepted_is_removed(catalog, tmp_path):
    accept(catalog)
    with pytest.raises(TooManyJobs):
        accept(catalog, most_active=1)
    assert len(input_files(catalog, tmp_path)) == 3


def test_a_job_may_be_asked_within_as_many_collections_as_a_key_names(catalog):
    names = [f"{number:04}-{'x' * 58}" for number in range(1000)]
    incoming = catalog.jobs.receive()
    new = NewJob(parameters={"collection": names}, items=[NewItem(None, 1)])
    catalog.jobs.create(incoming, new, most_active=5)
    incoming.close()
    claimed = catalog.jobs.claim(1)
    assert claimed is not None
    assert claimed.job.parameters["collection"] == names


def test_a_commit_that_only_seems_to_fail_leaves_the_images(catalog, tmp_path, monkeypatch):
    write = catalog.jobs._database.write

    @contextmanager
    def unacknowledged():
        with write() as connection:
            yield connection
        raise CatalogUnusable("the connection ended")

    monkeypatch.setattr(catalog.jobs._database, "write", unacknowledged)
    with pytest.raises(CatalogUnusable):
        accept(catalog, idempotency_key="a", fingerprint="f")
    monkeypatch.undo()
    assert accept(catalog, idempotency_key="a", fingerprint="f").total == 3
    claimed = catalog.jobs.claim(3)
    assert [item.position for item in claimed.items] == [0, 1, 2]
    assert len(input_files(catalog, tmp_path)) == 3


def test_idempotency_keys(catalog, tmp_path):
    job = accept(catalog, owner="a", idempotency_key="k", fingerprint="1" * 64)
    assert accept(catalog, owner="a", idempotency_key="k", fingerprint="1" * 64) == job
    with pytest.raises(IdempotencyKeyReused, match="'k'"):
        accept(catalog, owner="a", idempotency_key="k", fingerprint="2" * 64)
    other = accept(catalog, owner="b", idempotency_key="k", fingerprint="2" * 64)
    assert other.job_id != job.job_id
    assert catalog.jobs.is_key_used("a", "k")
    assert not catalog.jobs.is_key_used("c", "k")
    assert len(input_files(catalog, tmp_path)) == 6


def test_cancel_and_late_results(catalog, tmp_path):
    job = accept(catalog)
    catalog.jobs.complete(job, [ended(1)])
    assert catalog.jobs.cancel(job.job_id).state == "cancelled"
    assert catalog.jobs.complete(job, [ended(0)]) == 0
    assert [item.position for item in catalog.jobs.results(job.job_id)] == [1]
    assert input_files(catalog, tmp_path) == []
    assert catalog.jobs.claim(5) is None


def test_delete_and_late_results(catalog, tmp_path):
    job = accept(catalog)
    catalog.jobs.complete(job, [ended(1)])
    catalog.jobs.delete(job.job_id)
    assert catalog.jobs.complete(job, [ended(0)]) == 0
    for use in (catalog.jobs.find, catalog.jobs.results, catalog.jobs.cancel, catalog.jobs.delete):
        with pytest.raises(JobNotFound):
            use(job.job_id)
    assert input_files(catalog, tmp_path) == []
    with catalog._database.read() as connection:
        for table in ("job_items", "job_results"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


def test_purge_takes_only_what_ended_long_ago(catalog):
    old, active = accept(catalog, 1), accept(catalog, 1)
    catalog.jobs.complete(old, [ended(0)])
    now = datetime.now(UTC)
    assert catalog.jobs.purge(ended_before=now - timedelta(hours=1)) == 0
    assert catalog.jobs.purge(ended_before=now + timedelta(hours=1)) == 1
    assert catalog.jobs.find(active.job_id).state == "queued"
    with pytest.raises(JobNotFound):
        catalog.jobs.find(old.job_id)


def test_jobs_are_listed_by_owner_the_newest_first_page_by_page(catalog):
    made = [accept(catalog, 1, owner=owner).job_id for owner in ("a", "b", "a", "a")]
    first = catalog.jobs.page("a", limit=2)
    assert [job.job_id for job in first.items] == [made[3], made[2]]
    last = catalog.jobs.page("a", limit=2, cursor=first.next_cursor)
    assert [job.job_id for job in last.items] == [made[0]]
    assert last.next_cursor is None
    catalog.jobs.delete(made[2])
    assert [job.job_id for job in catalog.jobs.page(None).items] == [made[3], made[1], made[0]]
    with pytest.raises(InvalidCursor):
        catalog.jobs.page("a", cursor="garbage")
    with pytest.raises(InvalidField, match="limit"):
        catalog.jobs.page("a", limit=0)


@pytest.mark.parametrize("job_id", ["", "job_", "x" * 200, "job_\0", "jöb"])
def test_no_such_job(catalog, job_id):
    with pytest.raises(JobNotFound):
        catalog.jobs.find(job_id)


def test_a_file_name_that_no_database_holds_is_made_one(catalog):
    incoming = catalog.jobs.receive()
    new = NewJob(parameters={}, items=[NewItem("a\0b\ud800" + "x" * 2000, 1), NewItem(None, 1)])
    catalog.jobs.create(incoming, new, most_active=5)
    incoming.close()
    claimed = catalog.jobs.claim(5)
    assert claimed is not None
    assert claimed.items[0].filename == "a\N{REPLACEMENT CHARACTER}b?" + "x" * 1020
    assert claimed.items[1].filename is None


def test_nobody_gets_what_another_works_on_as_long_as_its_lease_holds(catalog):
    job = accept(catalog, 5)
    catalog.leases.take("one", "one", 30)
    catalog.leases.take("two", "two", 30)
    first = catalog.jobs.claim(2, worker="one")
    second = catalog.jobs.claim(9, worker="two")
    assert [item.position for item in first.items] == [0, 1]
    assert [item.position for item in second.items] == [2, 3, 4]
    assert catalog.jobs.claim(9, worker="three") is None
    catalog.jobs.complete(job, [ended(2)])
    catalog.jobs.release(second, [3])
    assert [item.position for item in catalog.jobs.claim(9, worker="one").items] == [3]
    own = catalog.jobs.claim(9, worker="two")  # what came to nothing: alone, and once more
    assert [(item.position, item.attempts) for item in own.items] == [(4, 2)]
    catalog.leases.give_back("one", "one")
    taken = [catalog.jobs.claim(9, worker="two").items for _ in range(3)]
    assert {item.position for items in taken for item in items} <= {0, 1, 3, 4}
    assert {0, 1} <= {item.position for items in taken for item in items}


def test_who_has_lost_an_item_gives_back_only_what_is_still_its_own(catalog):
    accept(catalog, 2)
    catalog.leases.take("slow", "slow", 30)
    slow = catalog.jobs.claim(2, worker="slow")
    catalog.leases.give_back("slow", "slow")
    catalog.leases.take("next", "next", 30)
    held = catalog.jobs.claim(1, worker="next")
    assert [(item.position, item.attempts) for item in held.items] == [(0, 2)]
    catalog.jobs.release(slow, [0, 1])
    catalog.leases.take("other", "other", 30)
    other = catalog.jobs.claim(9, worker="other")
    assert [(item.position, item.attempts) for item in other.items] == [(1, 1)]
    assert catalog.jobs.claim(9, worker="other one") is None
    catalog.jobs.release(held, [0])
    again = catalog.jobs.claim(9, worker="next")
    assert [(item.position, item.attempts) for item in again.items] == [(0, 2)]


class Ahead(datetime):
    """The clock of a machine that goes wrong."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


def test_a_takedown_finds_the_images_of_a_machine_whose_clock_is_ahead(
    catalog, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr("attribution.catalog.jobs.rows.datetime", Ahead)
        accept(catalog, 2)
    with monkeypatch.context() as patched:  # as where it is killed before it erases
        patched.setattr(catalog.takedowns, "_forget", lambda digests: ())
        catalog.takedowns.take(sha256s=[hashlib.sha256(b"image 0").hexdigest()], reason="why")
    catalog.jobs.sweep()
    assert input_files(catalog, tmp_path) == ["1"]

"""Writes that fail, whichever and why: a problem, /readyz, a metric; reads go on, and it passes."""

import errno
import hashlib
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app.jobs.answerer import Outcome
from app.service.storage import KINDS
from attribution.catalog import Catalog, NewItem, NewJob
from attribution.maintenance import erase, verify
from tests.support.folders import files_below
from tests.support.jobs import ended, finished, inputs
from tests.support.pictures import jpeg, large_png, picture, variation
from tests.support.waiting import wait_for

FULL = {errno.ENOSPC, errno.EDQUOT}
NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM]


def failing(monkeypatch, number: int, below: Path, *names: str) -> None:
    """Have these functions of `os` fail for what lies in a folder."""
    for name in names:
        real = getattr(os, name)

        def fail(path, *arguments, _real=real, **options):
            if isinstance(path, (str, Path)) and str(path).startswith(str(below)):
                raise OSError(number, os.strerror(number), str(path))
            return _real(path, *arguments, **options)

        monkeypatch.setattr(os, name, fail)


def told(running) -> dict[str, str]:
    """What /readyz says is wrong, found to be what the metric says."""
    seen: list[dict[str, str]] = []

    def agree() -> bool:  # asked one after the other, of what may change between
        response = running.client.get("/readyz")
        assert response.status_code == 200, "queries are answered"
        assert str(running.service.settings.data) not in response.text, "strangers read it"
        document = response.json()
        troubles = {each["part"]: each["detail"] for each in document.get("troubles", [])}
        assert document["status"] == ("degraded" if troubles else "ok")
        seen.append(troubles)
        metrics = running.client.get("/metrics").text
        failing = {part for part in KINDS if f'_failing{{part="{part}"}} 1.0' in metrics}
        assert all(f'_failing{{part="{part}"}}' in metrics for part in KINDS)
        return failing == set(troubles)

    wait_for(agree)
    return seen[-1]


def is_told(running, response, number: int, part: str) -> None:
    full = number in FULL
    assert response.status_code == (507 if full else 503), response.text
    assert response.json()["type"] == f"/problems/storage-{'full' if full else 'unavailable'}"
    assert str(running.service.settings.data) not in response.text
    assert told(running)[part] == os.strerror(number)
    assert running.client.post("/v1/attributions", files={"file": variation(1)}).is_success


def test_previews(running, monkeypatch):
    for seed, number in enumerate(NUMBERS, start=1):
        running.add(seed)
        wait_for(lambda: told(running) == {})
        with monkeypatch.context() as broken:
            failing(broken, number, running.service.settings.data / "previews", "open")
            for path, field in (("/v1/sources", "file"), ("/v1/sources/batch", "files")):
                response = running.client.post(path, files={field: variation(100 + seed)})
                if field == "files" and response.is_success:
                    [item] = response.json()["items"]
                    assert item["problem"]["status"] in {503, 507}
                    continue
                is_told(running, response, number, "previews")
        held = running.client.get("/v1/sources").json()["items"]
        assert f"{seed}.jpg" in [source["uri"] for source in held]
        running.add(200 + seed)
        wait_for(lambda: told(running) == {})


def test_inputs_of_jobs(running, monkeypatch):
    jobs = running.service.settings.data / "jobs"
    jobs.mkdir()
    files = {"files": variation(1)}
    for number in NUMBERS:
        with monkeypatch.context() as broken:
            failing(broken, number, jobs, "mkdir", "open")
            is_told(running, running.client.post("/v1/jobs", files=files), number, "jobs")
        job = running.client.post("/v1/jobs", files=files).json()
        assert finished(running, job)["completed"] == 1
        wait_for(lambda: told(running) == {})
        assert inputs(running.service.settings) == []


def test_the_snapshot_of_the_index(running, monkeypatch):
    for seed, number in enumerate(NUMBERS, start=1):
        running.add(seed)
        with monkeypatch.context() as broken:
            failing(broken, number, running.service.settings.snapshots, "mkdir", "open")
            is_told(running, running.client.post("/v1/index/snapshot"), number, "index")
        assert running.client.post("/v1/index/snapshot").is_success
        wait_for(lambda: told(running) == {})


def test_no_folder_for_temporary_files(running, monkeypatch, tmp_path):
    running.add(1)
    with monkeypatch.context() as broken:
        broken.setattr(tempfile, "tempdir", str(tmp_path / "none"))
        for path, field in (("/v1/sources", "file"), ("/v1/attributions", "file"),
                            ("/v1/attributions/batch", "files")):  # fmt: skip
            response = running.client.post(path, files={field: large_png()})
            assert response.status_code == 503, response.text
            assert response.json()["type"] == "/problems/storage-unavailable"
        wait_for(lambda: "temporary" in told(running))
        assert running.client.post("/v1/attributions", files={"file": variation(1)}).is_success
    assert running.client.post("/v1/sources", files={"file": large_png()}).is_success
    wait_for(lambda: told(running) == {})


def test_the_database(running, monkeypatch):
    running.add(1)
    database = running.service.catalog._database  # the driver's own words, at the place of a disk
    for words, kind in (
        ("attempt to write a readonly database", "catalog-unavailable"),
        ("disk I/O error", "catalog-unavailable"),
        ("database or disk is full", "storage-full"),
    ):

        class Broken:
            def begin(self, words=words):
                raise OperationalError("INSERT", {}, sqlite3.OperationalError(words))

        with monkeypatch.context() as broken:
            broken.setattr(database, "_writing", Broken())
            response = running.client.put("/v1/collections/art", json={})
            assert response.json()["type"] == f"/problems/{kind}"
            assert told(running)["catalog"] == words
            assert running.client.get("/v1/sources").is_success
        assert running.client.put("/v1/collections/art", json={}).is_success
        wait_for(lambda: told(running) == {})


# What is deleted, and cannot be taken off the disk


def stuck(monkeypatch, below: Path) -> pytest.MonkeyPatch:
    failing(monkeypatch, errno.EACCES, below, "unlink", "rmdir", "remove")
    return monkeypatch


def verified(running, *, repair: bool = False) -> dict[str, str]:
    settings = running.service.settings
    encoder = running.service.serving.embedder.encoder
    found = verify(settings.data, lambda _: encoder, snapshots=settings.snapshots, repair=repair)
    return {finding.kind: finding.state for finding in found.findings}


def test_a_takedown_that_cannot_remove_a_preview_is_pending_until_it_has(running, monkeypatch):
    monkeypatch.setattr("app.service.compactor._LONGEST_PAUSE_SECONDS", 0.5)
    source = running.add(41)["source"]
    running.add(2)
    previews = running.service.settings.data / "previews"
    before = set(previews.rglob("*.jpg"))
    body = {"source_ids": [source["source_id"]], "takedown": True, "reason": "a test"}
    with monkeypatch.context() as broken:
        stuck(broken, previews)
        response = running.client.post("/v1/sources/delete", json=body)
        assert response.status_code == 202
        answer = response.json()
        assert answer["source_ids"] == [source["source_id"]]
        assert answer["taken_down"] == [source["sha256"]]
        [name] = answer["remaining"]
        assert (running.service.settings.data / name).is_file()
        assert source["sha256"] not in running.client.get("/v1/sources").text
        wait_for(lambda: "erasure" in told(running))
        running.service.compactor.wake()
        assert "cannot be removed" in told(running)["erasure"]
        assert verified(running)["erasure-pending"] == "mendable"
        assert verified(running, repair=True)["erasure-pending"] == "beyond-repair"
        again = running.client.post("/v1/sources/delete", json=body).json()
        assert again["missing"] == [source["source_id"]]
        assert (running.service.settings.data / name).is_file()
    wait_for(lambda: not (running.service.settings.data / name).exists())
    wait_for(lambda: "erasure" not in told(running))
    assert {*previews.rglob("*.jpg")} < before
    wait_for(lambda: "erasure-pending" not in verified(running))


@pytest.mark.parametrize("what", ["source", "collection"])
def test_so_is_a_deletion(running, monkeypatch, what):
    running.client.put("/v1/collections/art", json={})
    source = running.add(41, collection="art")["source"]
    path = {"source": f"sources/{source['source_id']}", "collection": "collections/art"}[what]
    with monkeypatch.context() as broken:
        stuck(broken, running.service.settings.data / "previews")
        response = running.client.delete(f"/v1/{path}")
        assert (response.status_code, len(response.json()["remaining"])) == (202, 1)
        wait_for(lambda: "erasure" in told(running))
    running.service.compactor.wake()
    wait_for(lambda: not files_below(running.service.settings.data / "previews"))


def test_a_deletion_that_is_done_says_so(running):
    source = running.add(41)["source"]
    response = running.client.delete(f"/v1/sources/{source['source_id']}")
    assert (response.status_code, response.json()["remaining"]) == (200, [])
    wait_for(lambda: told(running) == {})


def test_inputs_of_an_ended_job_that_stay_are_told_and_removed_later(running, monkeypatch):
    with monkeypatch.context() as broken:
        stuck(broken, running.service.settings.data / "jobs")
        job = running.client.post("/v1/jobs", files={"files": variation(1)}).json()
        assert ended(running, job)["completed"] == 1
        running.service.compactor.wake()
        wait_for(lambda: "erasure" in told(running))
        folder = running.service.settings.data / "jobs" / job["job_id"]
        assert folder.is_dir()
    running.service.compactor.wake()
    wait_for(lambda: not folder.exists())
    wait_for(lambda: "erasure" not in told(running))


def test_what_another_process_has_left_of_a_job_is_swept_in_time(running, monkeypatch):
    monkeypatch.setattr("app.service.compactor._SWEEP_SECONDS", 0.1)
    monkeypatch.setattr(running.service.compactor, "_sweep_at", 0.0)
    folder = running.service.settings.data / "jobs" / "job_of_nobody"
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"image")
    assert not running.service.catalog.jobs.unerased
    running.service.compactor.wake()
    wait_for(lambda: not folder.exists())


def given_back(claimed, _) -> Outcome:
    """What a worker makes of items that are to wait."""
    time.sleep(0.05)
    return Outcome(given_back=[item.position for item in claimed.items])


@pytest.mark.parametrize("action", ["cancel", "delete"])
def test_a_job_that_is_ended_and_cannot_be_erased_is_pending_until_it_is(
    settings, running, monkeypatch, action
):
    with monkeypatch.context() as broken:
        broken.setattr(running.service.worker, "_answer", given_back)
        job = running.client.post("/v1/jobs", files={"files": variation(1)}).json()
        assert job["remaining"] == []
        stuck(broken, settings.data / "jobs")
        path = f"/v1/jobs/{job['job_id']}"
        ask = {"cancel": ("POST", f"{path}/cancel"), "delete": ("DELETE", path)}[action]
        for _ in range(2):
            response = running.client.request(*ask)
            assert response.status_code == 202
            assert response.json()["remaining"] == [f"jobs/{job['job_id']}"]
            assert response.json()["state"] == "cancelled"
        assert running.client.get(path).json() == response.json()
        assert running.client.get(f"{path}/results").text == ""
        wait_for(lambda: "erasure" in told(running))
        assert verified(running)["erasure-pending"] == "mendable"
    running.service.compactor.wake()
    wait_for(lambda: inputs(settings) == [])
    wait_for(lambda: "erasure" not in told(running))
    after = running.client.get(path)
    assert after.status_code == (404 if action == "delete" else 200)
    assert action == "delete" or after.json()["remaining"] == []
    again = running.client.request(*ask)
    assert again.status_code == (404 if action == "delete" else 200)


def test_what_waits_in_a_job_and_cannot_be_erased_remains(settings, monkeypatch):
    image = jpeg(picture(41))
    with Catalog.open(settings.data) as catalog:
        incoming = catalog.jobs.receive()
        incoming.path(0).write_bytes(image)
        new = NewJob(parameters={}, items=[NewItem("a.jpg", len(image))])
        catalog.jobs.create(incoming, new, most_active=1)
        incoming.close()
        digest = hashlib.sha256(image).hexdigest()
        with monkeypatch.context() as broken:
            stuck(broken, settings.data / "jobs")
            taken = catalog.takedowns.take(sha256s=[digest], reason="a test")
            assert taken.remaining == (f"jobs/{incoming.job_id}/0",)
            erased = erase(catalog, settings.data, settings.snapshots)
            assert erased.remaining == ("images of ended jobs cannot be removed",)
        assert erase(catalog, settings.data, settings.snapshots).remaining == ()
        assert inputs(settings) == []


def test_a_snapshot_that_cannot_be_removed_is_no_finished_erasure(settings, running, monkeypatch):
    source = running.add(41)["source"]
    running.add(2)
    running.client.post("/v1/index/snapshot")
    with monkeypatch.context() as broken:
        stuck(broken, settings.snapshots)
        body = {"source_ids": [source["source_id"]], "takedown": True, "reason": "a test"}
        running.client.post("/v1/sources/delete", json=body)
        wait_for(lambda: "erasure" in told(running))
        assert verified(running)["erasure-pending"] == "mendable"
    running.service.compactor.wake()
    wait_for(lambda: "erasure" not in told(running))
    assert "erasure-pending" not in verified(running)


def test_errors_that_say_nothing_of_a_disk_are_no_storage_problems(running, monkeypatch):
    def fail(*_, **__):
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    monkeypatch.setattr(running.service.catalog, "collections", fail)
    assert running.client.get("/v1/collections").status_code == 500

    def crowded(*_, **__):
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(running.service.catalog, "collections", crowded)
    response = running.client.get("/v1/collections")
    assert (response.status_code, response.json()["type"]) == (503, "/problems/overloaded")

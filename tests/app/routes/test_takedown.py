"""Takedowns over HTTP, and one service a data folder."""

import hashlib
import json
import threading

import pytest

from app.service.service import open_service
from attribution.catalog import Catalog, NewItem, NewJob
from attribution.maintenance import FolderInUse, erase
from attribution.opening.load import Vision
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder
from tests.support.folders import files_with
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import wait_for


def take_down(running, **body):
    return running.client.post("/v1/sources/delete", json={"takedown": True, **body})


def test_it_is_in_no_answer_and_no_file_and_cannot_come_back(running, settings):
    running.client.put("/v1/collections/other", json={})
    first = running.add(41)["source"]
    second = running.add(41, collection="other")["source"]
    running.add(2)
    running.client.post("/v1/index/snapshot")
    catalog = running.service.catalog
    preview = catalog.preview(first["source_id"])
    vector_id = catalog.source(first["source_id"]).vector_id
    [row] = catalog.embeddings(running.service.serving.index.model_id, [vector_id])
    middle = len(preview) // 2
    traces = [preview[middle : middle + 64], row.astype("<f4").tobytes()[:64], b"41.jpg"]
    assert all(files_with(settings.data, trace) for trace in traces), "else this proves nothing"

    response = take_down(running, source_ids=[first["source_id"]], reason="a test")
    assert response.status_code == 200, response.text
    taken = response.json()
    assert set(taken["source_ids"]) == {first["source_id"], second["source_id"]}
    assert taken["taken_down"] == [first["sha256"]]
    answer = running.ask(variation(41))
    assert first["sha256"] not in str(answer)
    assert first["source_id"] not in running.client.get("/v1/sources/export").text
    refused = running.client.post("/v1/sources", files={"file": ("again.jpg", jpeg(picture(41)))})
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/source-taken-down"
    wait_for(lambda: not any(files_with(settings.data, trace) for trace in traces))
    assert running.ask(variation(2))["sources"][0]["uri"] == "2.jpg"


class Held(ThumbnailBackbone):
    """Waits in the forward pass until it is let go."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.free.set()

    def forward(self, images):
        assert self.free.wait(60)
        return super().forward(images)


def results_of(running, location):
    lines = running.client.get(f"{location}/results").text.splitlines()
    return [json.loads(line) for line in lines]


def test_what_waits_in_a_job_leaves_the_disk_with_it(settings, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._CLAIM", 1)
    held, image = Held(), jpeg(picture(41))
    with serving(settings, thumbnail_encoder(held)) as running:
        source = running.add(41)["source"]
        held.free.clear()
        contents = (variation(1), image, variation(2), image)
        files = [("files", (f"{at}.jpg", data)) for at, data in enumerate(contents)]
        location = running.client.post("/v1/jobs", files=files).headers["location"]
        middle = image[len(image) // 2 :][:64]
        assert len(files_with(settings.data / "jobs", middle)) == 2
        take_down(running, source_ids=[source["source_id"]], reason="a test")
        assert files_with(settings.data, middle) == []
        held.free.set()
        wait_for(lambda: running.client.get(location).json()["state"] == "finished")
        results = {result["index"]: result for result in results_of(running, location)}
        assert {"attribution" in results[at] for at in (0, 2)} == {True}
        for at in (1, 3):
            assert results[at]["problem"]["type"] == "/problems/input-missing"


def test_the_names_under_which_jobs_were_asked_about_it_leave_the_disk_too(settings, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._CLAIM", 1)
    held, image = Held(), jpeg(picture(41))
    with serving(settings, thumbnail_encoder(held)) as running:
        source = running.add(41)["source"]
        running.add(2)
        files = [("files", ("its-name.jpg", image)), ("files", ("kept.jpg", variation(2)))]
        answered = running.client.post("/v1/jobs", files=files).headers["location"]
        wait_for(lambda: running.client.get(answered).json()["state"] == "finished")
        held.free.clear()
        waits = running.client.post("/v1/jobs", files=[*files[1:], files[0]]).headers["location"]
        assert files_with(settings.data, b"its-name")
        take_down(running, source_ids=[source["source_id"]], reason="a test")
        wait_for(lambda: not files_with(settings.data, b"its-name"))
        held.free.set()
        wait_for(lambda: running.client.get(waits).json()["state"] == "finished")
        names = [
            {result["index"]: result["filename"] for result in results_of(running, location)}
            for location in (answered, waits)
        ]
        assert names == [{0: None, 1: "kept.jpg"}, {0: "kept.jpg", 1: None}]
        assert not files_with(settings.data, b"its-name")


def test_a_takedown_that_no_source_has_reaches_what_waits_too(settings):
    held, image = Held(), jpeg(picture(41))
    with serving(settings, thumbnail_encoder(held)) as running:
        held.free.clear()
        files = [("files", (f"{at}.jpg", data)) for at, data in enumerate([image] * 40)]
        location = running.client.post("/v1/jobs", files=files).headers["location"]
        with Catalog.open(settings.data) as beside:  # as `attribution takedown` does
            beside.takedowns.take(sha256s=[hashlib.sha256(image).hexdigest()], reason="a test")
        assert files_with(settings.data, image[len(image) // 2 :][:64]) == []
        held.free.set()
        wait_for(lambda: running.client.get(location).json()["state"] == "finished")


def test_what_a_crash_kept_waiting_is_erased_at_the_next_start(settings):
    image = jpeg(picture(41))
    middle = image[len(image) // 2 :][:64]
    with Catalog.open(settings.data) as catalog:
        incoming = catalog.jobs.receive()
        for position, data in enumerate((image, variation(1))):
            incoming.path(position).write_bytes(data)
        new = NewJob(parameters={}, items=[NewItem("a.jpg", 1), NewItem("b.jpg", 1)])
        catalog.jobs.create(incoming, new, most_active=1)
        incoming.close()
        with pytest.MonkeyPatch.context() as killed:
            killed.setattr(catalog.takedowns, "_forget", lambda _: ())
            catalog.takedowns.take(sha256s=[hashlib.sha256(image).hexdigest()], reason="a test")
        assert len(files_with(settings.data, middle)) == 1
        catalog.jobs.sweep()
        assert files_with(settings.data, middle) == []
        assert len(files_with(settings.data / "jobs", variation(1))) == 1, "and nothing else is"


def test_the_results_of_a_job_show_nothing_of_it(running, settings):
    first, second = running.add(41)["source"], running.add(42)["source"]
    response = running.client.post("/v1/jobs", files={"files": ("query.jpg", variation(41))})
    location = response.headers["location"]
    wait_for(lambda: running.client.get(location).json()["state"] == "finished")
    [before] = results_of(running, location)
    assert before["attribution"]["sources"][0]["source_id"] == first["source_id"]
    take_down(running, source_ids=[first["source_id"]], reason="a test")
    [after] = results_of(running, location)
    shown = after["attribution"]["sources"]
    assert [source["source_id"] for source in shown] == [second["source_id"]]
    for trace in (first["source_id"], first["sha256"], "41.jpg"):
        assert trace not in str(after)
    wait_for(lambda: not files_with(settings.data, first["source_id"].encode()))


def test_in_a_batch_only_the_one_taken_down_is_refused(running):
    source = running.add(1)["source"]
    take_down(running, sha256s=[source["sha256"]], reason="a test")
    files = [("files", (f"{seed}.jpg", jpeg(picture(seed)))) for seed in (1, 2, 3)]
    items = running.client.post("/v1/sources/batch", files=files).json()["items"]
    assert items[0]["problem"]["type"] == "/problems/source-taken-down"
    assert [item["created"] for item in items[1:]] == [True, True]


@pytest.mark.parametrize(
    "body",
    [
        {"sha256s": ["0" * 64], "takedown": True},
        {"sha256s": ["0" * 64], "takedown": True, "reason": ""},
        {"sha256s": ["0" * 64], "takedown": True, "reason": "  "},
        {"sha256s": ["0" * 64], "reason": "why"},
        {"takedown": True, "reason": "why"},
    ],
)
def test_a_takedown_needs_a_reason_and_only_a_takedown_has_one(shared, body):
    response = shared.client.post("/v1/sources/delete", json=body)
    assert response.status_code == 422, response.text


def test_a_takedown_by_another_process_is_erased_by_the_service(running, settings):
    source = running.add(1)["source"]
    running.add(2)
    running.client.post("/v1/index/snapshot")
    with Catalog.open(settings.data) as beside:
        beside.takedowns.take(sha256s=[source["sha256"]], reason="a test")
        assert erase(beside, settings.data, settings.snapshots, patience=30).index_clean
    assert (settings.snapshots / "CURRENT").exists(), "a clean one was written"
    assert files_with(settings.data, source["source_id"].encode()) == []


def test_what_a_crash_left_due_is_done_after_the_next_start(settings, encoder, background):
    with serving(settings, encoder, background) as running:
        source = running.add(1)["source"]
        running.add(2)
    with Catalog.open(settings.data) as catalog:
        catalog.takedowns.take(sha256s=[source["sha256"]], reason="a test")
        assert catalog.compaction.due()
    with serving(settings, encoder, background) as running:
        wait_for(lambda: not running.service.catalog.compaction.due())
        wait_for(lambda: not files_with(settings.data, source["source_id"].encode()))


def test_a_second_service_on_the_folder_is_refused(running, settings, encoder):
    second = open_service(settings, Vision(encoder, None))
    with pytest.raises(FolderInUse, match="in use by a service"), second:
        pytest.fail("two services on one folder")
    assert running.client.get("/readyz").status_code == 200

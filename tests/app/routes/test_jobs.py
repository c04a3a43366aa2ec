"""Jobs over HTTP: results as images end, resumable; cancel, purge, retention, idempotency."""

import json
import threading
from datetime import timedelta

import pytest

from app.jobs.answerer import MAX_ATTEMPTS
from app.jobs.results import lines
from app.settings import Settings
from attribution.calibration.false_discovery import q_values
from models.encoder import Encoder
from tests.support.encoders import Gate, thumbnail_encoder
from tests.support.jobs import finished, inputs, read, state
from tests.support.pictures import jpeg, picture, png, variation
from tests.support.service import Running, serving
from tests.support.waiting import wait_for

NOT_AN_IMAGE = b"no image at all"
UNFINISHED = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def gated(gate) -> Encoder:
    return thumbnail_encoder(gate)


def files(*contents: bytes):
    return [("files", (f"{number}.jpg", data)) for number, data in enumerate(contents)]


def submit(served: Running, *contents: bytes, **request):
    response = served.client.post("/v1/jobs", files=files(*contents), **request)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/jobs/{response.json()['job_id']}"
    return response.json()


def test_each_image_has_its_answer_and_a_bad_one_its_problem(running, settings):
    for seed in range(4):
        running.add(seed)
    job = submit(running, variation(2), NOT_AN_IMAGE, variation(0), params={"top_k": 2})
    assert (job["total"], job["parameters"]["top_k"]) == (3, 2)
    done = finished(running, job)
    assert (done["state"], done["completed"], done["failed"]) == ("finished", 3, 1)
    results = read(running, job)
    assert [result["sequence"] for result in results] == [1, 2, 3]
    by_index = {result["index"]: result for result in results}
    assert by_index[1]["problem"]["type"] == "/problems/unsupported-image"
    for index, seed in ((0, 2), (2, 0)):
        answer = by_index[index]["attribution"]
        assert by_index[index]["filename"] == f"{index}.jpg"
        alone = running.ask(variation(seed), top_k=2)
        assert answer["decision"] == alone["decision"] == "attributed"
        assert answer["sources"][0]["uri"] == f"{seed}.jpg"
        assert set(answer) == set(alone)
        for shown, expected in zip(answer["sources"], alone["sources"], strict=True):
            assert shown == {
                **expected,
                "score": pytest.approx(expected["score"], abs=1e-4),
                "p_value": pytest.approx(expected["p_value"], abs=1e-2),
                "share": pytest.approx(expected["share"], abs=1e-3),
            }
    wait_for(lambda: inputs(settings) == [])  # erased right after the results are recorded


def test_q_values_are_those_of_the_whole_job_and_come_with_its_end(running, monkeypatch):
    monkeypatch.setattr("app.jobs.results._PAGE", 2)
    held = [running.add(seed)["source"]["source_id"] for seed in range(3)]
    queries = (variation(0), NOT_AN_IMAGE, variation(1), variation(50), variation(51))
    job = submit(running, *queries)
    finished(running, job)

    def p_values_checked():
        answers = [line for line in read(running, job) if "attribution" in line]
        p_values = [line["attribution"]["p_value"] for line in answers]
        assert [line["q_value"] for line in answers] == pytest.approx(q_values(p_values))
        assert read(running, job, after=3) == read(running, job)[3:]
        return p_values

    before = p_values_checked()
    assert len(before) == 4
    assert not any("q_value" in line for line in read(running, job) if "problem" in line)
    running.client.delete(f"/v1/sources/{held[0]}")
    assert p_values_checked() != before
    catalog = running.service.catalog
    unfinished = lines(catalog, job["job_id"], after=0, shown=int, ended=False)
    kept = [json.loads(line) for text in unfinished for line in text.splitlines()]
    assert [line["q_value"] for line in kept if "attribution" in line] == [None] * 4


def test_results_are_readable_while_it_runs_and_resumable(tmp_path, gate, gated, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._CLAIM", 2)
    with serving(Settings(data=tmp_path), gated) as served:
        gate.open.clear()
        job = submit(served, *(variation(seed) for seed in range(5)))
        assert job["state"] in {"queued", "running"}
        assert read(served, job) == []
        gate.open.set()
        wait_for(lambda: read(served, job))
        seen = read(served, job)
        finished(served, job)
        seen += read(served, job, after=seen[-1]["sequence"])
        assert [result["sequence"] for result in seen] == [1, 2, 3, 4, 5]
        assert sorted(result["index"] for result in seen) == [0, 1, 2, 3, 4]
        assert read(served, job, after=5) == []


def test_a_deleted_source_leaves_the_results(running):
    ids = [running.add(seed)["source"]["source_id"] for seed in range(3)]
    job = submit(running, variation(1), params={"top_k": 3})
    finished(running, job)
    [before] = read(running, job)
    assert before["attribution"]["sources"][0]["source_id"] == ids[1]
    running.client.delete(f"/v1/sources/{ids[1]}")
    [after] = read(running, job)
    answer = after["attribution"]
    assert ids[1] not in json.dumps(after)
    assert [source["source_id"] for source in answer["sources"]] == [
        source["source_id"] for source in before["attribution"]["sources"][1:]
    ]
    assert answer["decision"] == "no_source_found"
    assert answer["p_value"] == answer["sources"][0]["p_value"]
    shares = sum(source["share"] for source in answer["sources"])
    assert shares + answer["other_share"] + answer["unattributed_share"] == pytest.approx(1)


def test_cancel_keeps_results_and_erases_what_waits(tmp_path, gate, gated, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._CLAIM", 2)
    settings = Settings(data=tmp_path)
    with serving(settings, gated) as served:
        gate.open.clear()
        job = submit(served, *(variation(seed) for seed in range(6)))
        wait_for(lambda: state(served, job)["state"] == "running")
        assert len(inputs(settings)) == 6
        cancelled = served.client.post(f"/v1/jobs/{job['job_id']}/cancel").json()
        assert (cancelled["state"], cancelled["completed"]) == ("cancelled", 0)
        assert inputs(settings) == []
        gate.open.set()
        other = submit(served, variation(7))
        finished(served, other)
        assert read(served, job) == [], "what was under way came too late"
        again = served.client.post(f"/v1/jobs/{other['job_id']}/cancel").json()
        assert again["state"] == "finished"


def test_delete_purges_whatever_the_state(tmp_path, gate, gated):
    settings = Settings(data=tmp_path)
    with serving(settings, gated) as served:
        gate.open.clear()
        job = submit(served, *(variation(seed) for seed in range(3)))
        response = served.client.delete(f"/v1/jobs/{job['job_id']}")
        assert (response.status_code, response.content) == (204, b"")
        gate.open.set()
        for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
            response = served.client.request(method, f"/v1/jobs/{job['job_id']}{path}")
            assert response.status_code == 404
            assert response.json()["type"] == "/problems/job-not-found"
        assert inputs(settings) == []
        finished(served, submit(served, variation(1)))


def test_ended_jobs_are_purged_after_their_time(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._TIDY_SECONDS", 0.0)
    with serving(Settings(data=tmp_path, job_retention_hours=1.0), encoder) as served:
        job = submit(served, variation(1))
        done = finished(served, job)
        assert done["expires_at"] > done["ended_at"]
        served.service.worker.wake()
        assert state(served, job)["state"] == "finished"
        monkeypatch.setattr(served.service.worker, "_retention", timedelta(0))
        served.service.worker.wake()
        path = f"/v1/jobs/{job['job_id']}"
        wait_for(lambda: served.client.get(path).status_code == 404)


def test_the_same_key_and_request_is_one_job(running):
    key = {"Idempotency-Key": "morning-42"}
    first = submit(running, variation(1), variation(2), headers=key)
    again = submit(running, variation(1), variation(2), headers=key)
    assert again["job_id"] == first["job_id"]
    for contents, parameters in (
        ((variation(1), variation(3)), {}),
        ((variation(2), variation(1)), {}),
        ((variation(1), variation(2)), {"top_k": 3}),
    ):
        response = running.client.post(
            "/v1/jobs", files=files(*contents), params=parameters, headers=key
        )
        assert response.status_code == 422
        assert response.json()["type"] == "/problems/idempotency-key-reused"
    assert submit(running, variation(1), variation(2))["job_id"] != first["job_id"]
    response = running.client.post(
        "/v1/jobs", files=files(variation(1)), headers={"Idempotency-Key": "a key"}
    )
    assert response.status_code == 422
    running.client.delete(f"/v1/jobs/{first['job_id']}")
    assert submit(running, variation(9), headers=key)["job_id"] != first["job_id"]


def test_two_at_once_with_one_key_are_one_job(running):
    key = {"Idempotency-Key": "twice"}
    made: list[str] = []

    def send():
        made.append(submit(running, variation(1), variation(2), headers=key)["job_id"])

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_no_more_active_jobs_than_allowed(tmp_path, gate, gated):
    settings = Settings(data=tmp_path, max_active_jobs=1)
    with serving(settings, gated) as served:
        gate.open.clear()
        key = {"Idempotency-Key": "kept"}
        job = submit(served, variation(1), headers=key)
        response = served.client.post("/v1/jobs", files=files(variation(2)))
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/overloaded"
        assert int(response.headers["retry-after"]) > 0
        assert submit(served, variation(1), headers=key)["job_id"] == job["job_id"]
        gate.open.set()
        finished(served, job)
        finished(served, submit(served, variation(2)))


def test_only_who_holds_a_slot_may_wait_for_a_write(tmp_path, encoder):
    settings = Settings(data=tmp_path, max_active_jobs=1, generation_wait_seconds=60)
    with serving(settings, encoder) as served:
        added, follower = served.add(1), served.service.serving.follower
        now = {"min_generation": added["generation"] + 1}
        patient = threading.Thread(
            target=submit, args=(served, variation(1)), kwargs={"params": now}
        )
        with follower.hold():
            served.service.catalog.update(added["source"]["source_id"], {"title": "new"})
            patient.start()
            wait_for(lambda: served.service.receiving.taken == 1)
            response = served.client.post("/v1/jobs", files=files(variation(2)), params=now)
            assert response.json()["type"] == "/problems/overloaded"
        patient.join()
        finished(served, served.client.get("/v1/jobs").json()["items"][0])


def test_interactive_requests_come_before_jobs(tmp_path, gate, gated):
    settings = Settings(data=tmp_path, max_job_batch=2)
    with serving(settings, gated) as served:
        gate.open.clear()
        job = submit(served, *(variation(seed) for seed in range(8)))
        wait_for(lambda: served.service.serving.embedder.waiting >= 4)
        gate.passes.clear()
        answers: list[dict] = []
        asking = threading.Thread(target=lambda: answers.append(served.ask(variation(1))))
        asking.start()
        wait_for(lambda: _interactive_images_wait(served) == 1)
        gate.open.set()
        asking.join()
        finished(served, job)
        assert gate.passes[1] == 1, "behind the pass under way, before the rest of the job"
        assert max(gate.passes) <= 2


def _interactive_images_wait(served: Running) -> int:
    return len(served.service.serving.embedder._batcher._interactive.waiting)


def test_jobs_take_turns(tmp_path, gate, gated, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._CLAIM", 1)
    with serving(Settings(data=tmp_path), gated) as served:
        gate.open.clear()
        long = submit(served, *(variation(seed) for seed in range(30)))
        short = submit(served, variation(1))
        gate.passes.clear()
        gate.closes_after = 10
        gate.open.set()
        finished(served, short)
        assert state(served, long)["completed"] < 30
        gate.closes_after = None
        gate.open.set()
        finished(served, long)


def test_a_failing_encoder_is_waited_for(tmp_path, gate, gated, monkeypatch):
    with serving(Settings(data=tmp_path), gated) as served:
        monkeypatch.setattr(served.service.worker, "_pause", 0.01)
        gate.broken = True
        job = submit(served, variation(1), variation(2))
        wait_for(lambda: len(gate.passes) > 2)
        gate.broken = False
        done = finished(served, job)
        assert (done["completed"], done["failed"]) == (2, 0)


def test_an_image_that_always_fails_ends_with_a_problem(tmp_path, gate, gated, monkeypatch):
    with serving(Settings(data=tmp_path), gated) as served:
        monkeypatch.setattr(served.service.worker, "_pause", 0.01)
        gate.broken = True
        job = submit(served, variation(1))
        assert finished(served, job)["failed"] == 1
        [result] = read(served, job)
        assert result["problem"]["type"] == "/problems/inference-failed"
        gate.broken = False
        wait_for(lambda: served.client.get("/readyz").status_code == 200)


def test_a_worker_that_is_behind_answers_by_what_the_maker_of_the_job_has_seen(
    running, monkeypatch
):
    monkeypatch.setattr(running.service.worker, "_pause", 0.01)
    seen = running.add(1)["generation"]
    waits = []
    with monkeypatch.context() as patch:
        follower = running.service.serving.follower
        patch.setattr(follower, "wait_for", lambda *asked: bool(waits.append(asked[0])))
        job = submit(running, variation(1), variation(2), params={"min_generation": seen})
        wait_for(lambda: len(waits) > MAX_ATTEMPTS)  # which is nobody's fault
        assert state(running, job)["completed"] == 0
    assert set(waits) == {seen}
    assert "min_generation" not in job["parameters"]  # a number of the catalog, not of its maker
    assert finished(running, job)["failed"] == 0


def test_a_lost_input_ends_with_a_problem(tmp_path, gate, gated):
    settings = Settings(data=tmp_path)
    with serving(settings, gated) as served:
        gate.open.clear()
        blocking = submit(served, variation(0))
        wait_for(lambda: state(served, blocking)["state"] == "running")
        job = submit(served, variation(1))
        (settings.data / "jobs" / job["job_id"] / "0").unlink()
        gate.open.set()
        finished(served, job)
        [result] = read(served, job)
        assert result["problem"]["type"] == "/problems/input-missing"


def test_a_full_disk_while_recording_costs_no_attempt(tmp_path, encoder, monkeypatch):
    from attribution.catalog import StorageFull  # noqa: PLC0415

    with serving(Settings(data=tmp_path), encoder) as served:
        worker, jobs = served.service.worker, served.service.catalog.jobs
        monkeypatch.setattr(worker, "_pause", 0.001)
        complete, full = jobs.complete, []

        def fill(*arguments):
            if len(full) < 8:
                full.append(1)
                raise StorageFull
            return complete(*arguments)

        monkeypatch.setattr(jobs, "complete", fill)
        job = submit(served, variation(1))
        assert finished(served, job)["failed"] == 0


def test_a_stop_gives_back_what_it_has_not_begun(tmp_path, gate, gated):
    settings = Settings(data=tmp_path)
    with serving(settings, gated) as served:
        gate.open.clear()
        job = submit(served, *(variation(seed) for seed in range(20)))
        wait_for(lambda: served.service.serving.embedder.waiting)
        threading.Timer(0.3, gate.open.set).start()
    with serving(settings, gated) as served:
        finished(served, job)
        results = read(served, job)
        assert sorted(result["index"] for result in results) == list(range(20))
        assert not any("problem" in result for result in results)


@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        ({"files": {"file": b"x"}}, 422, "invalid-request"),
        ({"data": {"files": "text"}, "files": {"files": b"x"}}, 422, "invalid-request"),
        ({"content": b"x", "headers": {"Content-Type": "image/png"}}, 415,
         "unsupported-media-type"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400,
         "malformed-body"),
        ({"content": UNFINISHED, "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
         400, "malformed-body"),
        ({"content": b"nothing", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
         400, "malformed-body"),
        ({"content": b"--b--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
         422, "invalid-request"),
        ({"files": {"files": b"x"}, "params": {"collection": "nowhere"}}, 404,
         "collection-not-found"),
        ({"files": {"files": b"x"}, "params": {"alpha": "0.000001"}}, 422, "invalid-request"),
        ({"files": {"files": b"x"}, "params": {"min_generation": "999"}}, 409,
         "generation-unknown"),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_leaves_nothing(shared, request_, status, kind):
    response = shared.client.post("/v1/jobs", **request_)
    assert response.status_code == status, response.text
    assert response.json()["type"] == f"/problems/{kind}"
    assert inputs(shared.service.settings) == []


def test_limits_of_a_job(tmp_path, encoder):
    settings = Settings(
        data=tmp_path, max_job_images=3, max_job_bytes=100_000, max_image_bytes=10_000
    )
    with serving(settings, encoder) as served:
        response = served.client.post("/v1/jobs", files=files(*[variation(1)] * 4))
        assert response.status_code == 413
        assert response.json()["type"] == "/problems/too-many-images"
        response = served.client.post("/v1/jobs", files=files(b"\0" * 120_000))
        assert response.status_code == 413
        assert response.json()["type"] == "/problems/request-too-large"

        def endless():
            for _ in range(20):
                yield b"\0" * 10_000

        response = served.client.post(
            "/v1/jobs", content=endless(), headers={"Content-Type": "application/zip"}
        )
        assert response.status_code == 413
        assert inputs(settings) == []
        big = png(picture(1, size=(200, 200)))
        assert len(big) > settings.max_image_bytes
        job = submit(served, big, jpeg(picture(2)))
        assert finished(served, job)["failed"] == 1
        problems = [
            result["problem"]["type"] for result in read(served, job) if "problem" in result
        ]
        assert problems == ["/problems/image-too-large"]

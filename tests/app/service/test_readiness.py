"""`/readyz` tells of an encoder, a decoder or a job worker that does not work, and comes back."""

import threading
import time

import pytest

from app.inference.activities import Activities
from app.inference.watchdog import Watchdog
from app.settings import Settings
from attribution.catalog import CatalogUnusable
from attribution.index import IndexUnavailable
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder
from tests.support.pictures import variation
from tests.support.service import serving
from tests.support.waiting import PATIENCE, wait_for


class Moody(ThumbnailBackbone):
    """Raises what it is told to, or waits until it is let go; smooth images may be poison to it."""

    def __init__(self):
        super().__init__()
        self.raises: Exception | None = None
        self.poisonous = False
        self.free = threading.Event()
        self.free.set()

    def forward(self, images):
        assert self.free.wait(PATIENCE)
        if self.raises is not None:
            raise self.raises
        roughness = (images[..., 1:] - images[..., :-1]).abs().mean(dim=(1, 2, 3))
        if self.poisonous and bool((roughness < 0.5).any()):
            raise RuntimeError("poison")
        return super().forward(images)


@pytest.fixture
def moody():
    return Moody()


def readiness(served):
    response = served.client.get("/readyz")
    return response.status_code, response.json().get("detail", "")


def ask(served):
    return served.client.post("/v1/attributions", files={"file": variation(1)})


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError()])
def test_a_model_that_throws_flips_readiness_and_comes_back_by_itself(settings, moody, error):
    with serving(settings, thumbnail_encoder(moody)) as served:
        moody.raises = error
        response = ask(served)
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/inference-failed"
        status, detail = readiness(served)
        assert (status, "encoder fails" in detail) == (503, True)
        assert "attribution_encoder_failing 1.0" in served.client.get("/metrics").text
        assert served.client.get("/livez").status_code == 200
        moody.raises = None
        # Nobody asks, for it is not ready: it must find out alone.
        wait_for(lambda: readiness(served)[0] == 200)
        assert ask(served).status_code == 200


def test_a_poison_image_does_not_make_the_service_unready(settings, moody):
    with serving(settings, thumbnail_encoder(moody)) as served:
        moody.poisonous = True
        assert ask(served).status_code == 503
        assert readiness(served)[0] == 200


def test_a_hung_forward_pass_flips_readiness_while_it_hangs(tmp_path, moody):
    settings = Settings(data=tmp_path, hang_seconds=0.3)
    with serving(settings, thumbnail_encoder(moody)) as served:
        moody.free.clear()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(ask(served).status_code))
        asking.start()
        wait_for(lambda: readiness(served)[0] == 503)
        assert "come back" in readiness(served)[1]
        moody.free.set()
        asking.join()
        assert answers == [200]
        wait_for(lambda: readiness(served)[0] == 200)


def test_a_job_worker_that_keeps_failing_flips_readiness(settings, encoder, monkeypatch):
    with serving(settings, encoder) as served:
        real = served.service.catalog.jobs.complete

        def fail(*_):
            raise CatalogUnusable("the results cannot be written")

        monkeypatch.setattr(served.service.catalog.jobs, "complete", fail)
        monkeypatch.setattr(served.service.worker, "_pause", 0.05)
        response = served.client.post("/v1/jobs", files={"files": ("a.jpg", variation(1))})
        location = response.headers["location"]
        wait_for(lambda: readiness(served)[0] == 503)
        assert "jobs" in readiness(served)[1]
        assert ask(served).status_code == 200, "queries are answered meanwhile"
        monkeypatch.setattr(served.service.catalog.jobs, "complete", real)
        wait_for(lambda: served.client.get(location).json()["state"] == "finished")
        wait_for(lambda: readiness(served)[0] == 200)


def test_images_that_come_to_nothing_one_after_the_other_do_so_too(settings, encoder, monkeypatch):
    with serving(settings, encoder) as served:
        monkeypatch.setattr(served.service.worker, "_pause", 0.05)
        attributor = served.service.serving.attributor
        working = attributor.attribute

        def fail(*_, **__):
            raise ZeroDivisionError("no search today")

        monkeypatch.setattr(attributor, "attribute", fail)
        files = [("files", (f"{n}.jpg", variation(n))) for n in range(6)]
        location = served.client.post("/v1/jobs", files=files).headers["location"]
        wait_for(lambda: readiness(served)[0] == 503)
        monkeypatch.setattr(attributor, "attribute", working)
        wait_for(lambda: served.client.get(location).json()["state"] == "finished")
        wait_for(lambda: readiness(served)[0] == 200)


def test_a_null_that_cannot_be_made_flips_readiness_and_is_made_without_another_write(
    tmp_path, encoder, background, monkeypatch
):
    def fail(*_, **__):
        raise IndexUnavailable("no search today")

    settings = Settings(data=tmp_path, inference_threads=1, follow_seconds=0.05)
    with serving(settings, encoder, background) as served:
        with monkeypatch.context() as patch:
            patch.setattr("attribution.calibration.neighbours.part_scores_of", fail)
            served.add(1)
            wait_for(lambda: "Calibration" in readiness(served)[1])
        wait_for(lambda: readiness(served)[0] == 200)
        assert served.ask(variation(1))["calibration"]["state"] == "fresh"


def test_a_catalog_that_cannot_be_read_is_a_503_everywhere(running, monkeypatch):
    def fail(*_, **__):
        raise CatalogUnusable("disk I/O error at /a/secret/path")

    for name in ("generation", "collections", "sources", "add"):
        monkeypatch.setattr(running.service.catalog, name, fail)
    calls = [("GET", "/readyz"), ("GET", "/v1/collections"), ("GET", "/v1/sources")]
    for method, path in calls:
        response = running.client.request(method, path)
        assert response.status_code == 503, path
        assert response.json()["type"] == "/problems/catalog-unavailable"
        assert "secret" not in response.text
    response = running.client.post("/v1/sources", files={"file": variation(1)})
    assert response.json()["type"] == "/problems/catalog-unavailable"


def test_the_watchdog_ends_the_process_once_and_only_past_its_deadline():
    ended = []
    activities = Activities()
    patient = Watchdog(activities, patience=0.05, deadline=4 * PATIENCE, end=ended.append)
    patient.start()
    with activities.doing("decode"):
        time.sleep(0.1)
        hung = patient.hung
        assert hung is not None
        assert (hung.work, ended) == ("decode", [])
    assert patient.hung is None
    patient.close()
    watchdog = Watchdog(activities, patience=0.05, deadline=0.2, end=ended.append)
    watchdog.start()
    with activities.doing("encode"), activities.doing("decode"):
        wait_for(lambda: ended)
    watchdog.close()
    [activity] = ended
    assert (activity.work, activity.seconds > 0.2) == ("encode", True)


def test_without_a_deadline_the_watchdog_ends_nothing():
    ended = []
    activities = Activities()
    watchdog = Watchdog(activities, patience=0.01, deadline=0, end=ended.append)
    watchdog.start()
    with activities.doing("encode"):
        time.sleep(0.1)
        assert watchdog.hung is not None
    watchdog.close()
    assert ended == []


def test_lists_that_cannot_be_begun_are_problems_and_no_cut_connections(running, monkeypatch):
    running.add(1)
    files = [("files", ("1.jpg", variation(1)))]
    location = running.client.post("/v1/jobs", files=files).headers["location"]

    def broken(*_arguments, **_options):
        raise CatalogUnusable("disk I/O error")

    catalog = running.service.catalog
    monkeypatch.setattr(catalog, "sources", broken)
    monkeypatch.setattr(catalog.jobs, "results", broken)
    for path in ("/v1/sources/export", f"{location}/results"):
        response = running.client.get(path)
        assert response.status_code == 503, path
        assert response.json()["type"] == "/problems/catalog-unavailable"

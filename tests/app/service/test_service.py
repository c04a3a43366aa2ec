"""The service as a whole: starting, stopping, overload, failures, and what every response has."""

import re
import threading
from pathlib import Path

import pytest

from app.problems.types import PROBLEM_TYPES
from app.service.service import open_service
from app.settings import Settings
from attribution.opening.load import Vision
from tests.support.clients import client as new_client
from tests.support.clients import connected, head
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import PATIENCE, wait_for

API_REFERENCE = Path(__file__).parents[3] / "docs" / "api.md"


class Fickle(ThumbnailBackbone):
    """Can be held up, and fails when told to."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.broken = False

    def forward(self, images):
        assert self.free.wait(PATIENCE)
        if self.broken:
            raise RuntimeError("out of memory")
        return super().forward(images)


@pytest.fixture
def fickle():
    return Fickle()


def test_health_and_index_state(shared):
    alive = {"status": "ok", "instance": shared.service.instance}
    assert shared.client.get("/livez").json() == alive
    assert shared.client.get("/readyz").json() == {"status": "ok"}
    state = shared.client.get("/v1/index").json()
    assert (state["dimension"], state["lag"]) == (64, 0)
    assert state["calibration"]["state"] == "fresh"
    saved = shared.client.post("/v1/index/snapshot").json()
    assert saved == {"generation": state["generation"]}


def test_twenty_starts_and_stops_leak_no_descriptor_and_no_thread(settings, encoder):
    def cycle():
        with open_service(settings, Vision(encoder, None)) as service:
            assert service.serving.embedder.alive

    cycle()
    descriptors, threads = open_descriptors(), threading.active_count()
    for _ in range(20):
        cycle()
    # The module's shared service may open a connection or two of its pool meanwhile.
    assert open_descriptors() <= descriptors + 8
    assert threading.active_count() <= threads


def test_a_start_that_fails_closes_what_it_opened(settings, encoder, monkeypatch):
    def refuse(*_):
        raise OSError("no index today")

    with open_service(settings, Vision(encoder, None)):
        pass
    descriptors = open_descriptors()
    monkeypatch.setattr("attribution.opening.gallery.open_index", refuse)
    with pytest.raises(OSError, match="no index"), open_service(settings, Vision(encoder, None)):
        pass
    assert open_descriptors() <= descriptors


def test_without_background_there_is_a_ranking_but_no_decision(settings, encoder):
    with serving(settings, encoder) as served:
        served.add(1)
        answer = served.ask(variation(1))
        assert (answer["decision"], answer["p_value"]) == (None, None)
        assert answer["calibration"] == {"id": None, "state": "missing"}
        assert answer["sources"][0]["attributed"] is False


def test_a_model_that_throws_is_a_503_and_then_it_works_again(settings, fickle):
    with serving(settings, thumbnail_encoder(fickle)) as served:
        fickle.broken = True
        response = served.client.post("/v1/attributions", files={"file": variation(1)})
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/inference-failed"
        assert int(response.headers["retry-after"]) > 0
        fickle.broken = False
        served.ask(variation(1))


def test_beyond_the_queue_limit_requests_are_refused_at_once(tmp_path, fickle):
    settings = Settings(data=tmp_path, queue_limit=4, max_batch_images=4)
    with serving(settings, thumbnail_encoder(fickle)) as served:
        fickle.free.clear()
        answers = []

        def ask():
            answers.append(served.client.post("/v1/attributions", files={"file": variation(1)}))

        accepted = [threading.Thread(target=ask) for _ in range(4)]
        for thread in accepted:
            thread.start()
        wait_for(lambda: served.service.slots.taken == 4)
        response = served.client.post("/v1/attributions", files={"file": variation(1)})
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/overloaded"
        assert int(response.headers["retry-after"]) > 0
        assert served.client.get("/livez").status_code == 200
        fickle.free.set()
        for thread in accepted:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 4
        assert served.service.slots.taken == 0


@pytest.mark.parametrize("path", ["attributions", "jobs"])
def test_those_who_wait_for_the_index_or_a_null_take_no_thread_from_others(
    tmp_path, encoder, background, path
):
    many = 70  # more than there are threads
    settings = Settings(
        data=tmp_path, queue_limit=many, max_active_jobs=many, generation_wait_seconds=60
    )
    with serving(settings, encoder, background) as served:
        added = served.add(1)
        serves, answers = served.service.serving, []
        if path == "jobs":
            slots, parameters = served.service.receiving, {"collection": "default"}
            held, field = serves.calibration._filters._working, "files"
        else:
            slots, parameters = served.service.slots, {"min_generation": added["generation"] + 1}
            held, field = serves.follower.hold(), "file"

        def ask():
            sent = {field: ("1.jpg", variation(1))}
            answers.append(served.client.post(f"/v1/{path}", params=parameters, files=sent))

        asking = [threading.Thread(target=ask) for _ in range(many)]
        with held:
            served.service.catalog.update(added["source"]["source_id"], {"title": "new"})
            for each in asking:
                each.start()
            wait_for(lambda: slots.taken == many)
            with new_client(served.url, timeout=10) as other:
                for _ in range(3):
                    assert other.get("/readyz").status_code == 200
            assert answers == []
        for each in asking:
            each.join()
        assert {answer.status_code for answer in answers} == {202 if path == "jobs" else 200}


def test_a_client_that_hangs_up_frees_its_slot(settings, fickle):
    with serving(settings, thumbnail_encoder(fickle)) as served:
        fickle.free.clear()
        image = variation(1)
        with connected(served.url) as impatient:
            impatient.sendall(head(len(image)) + image)
            wait_for(lambda: served.service.slots.taken == 1)
            wait_for(lambda: served.service.serving.embedder.waiting == 0)
        wait_for(lambda: served.service.slots.taken == 0)
        fickle.free.set()
        served.ask(variation(1))


def test_a_stop_finishes_what_was_accepted(settings, fickle):
    answers = []
    with serving(settings, thumbnail_encoder(fickle)) as served:
        fickle.free.clear()

        def ask():
            with new_client(served.url, timeout=PATIENCE) as client:
                answers.append(client.post("/v1/attributions", files={"file": variation(1)}))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(lambda: served.service.slots.taken == 1)
        threading.Timer(0.3, fickle.free.set).start()
    asking.join()
    assert [answer.status_code for answer in answers] == [200]


def test_a_stop_saves_the_index(settings, encoder):
    with serving(settings, encoder) as served:
        served.add(1)
    assert (settings.snapshots / "CURRENT").is_file()


def test_every_kind_of_problem_is_explained_and_documented(shared):
    table = API_REFERENCE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (.*) \|$", table, re.MULTILINE)
    documented = {slug: (int(status), advice) for slug, status, advice in rows}
    assert documented == {kind.slug: (kind.status, kind.advice) for kind in PROBLEM_TYPES.values()}
    for kind in PROBLEM_TYPES.values():
        explained = shared.client.get(kind.uri).json()
        assert explained["advice"] == kind.advice


def test_every_error_has_one_shape(shared):
    calls = [("GET", "/nowhere"), ("PUT", "/"), ("GET", "/docs/assets/none.js"), ("POST", "/docs")]
    for path, operations in shared.client.get("/openapi.json").json()["paths"].items():
        filled = re.sub(r"{\w+}", "none", path)
        calls += [(method, f"{filled}?no_such_parameter=1") for method in operations]
        calls += [("TRACE", filled), ("PROPFIND", filled)]
    for method, path in calls:
        response = shared.client.request(method, path)
        assert 400 <= response.status_code < 500, (method, path, response.status_code)
        assert response.headers["content-type"] == "application/problem+json", (method, path)
        problem = response.json()
        assert set(problem) <= {"type", "title", "status", "detail", "request_id", "errors"}
        kind = PROBLEM_TYPES[problem["type"].removeprefix("/problems/")]
        assert (problem["title"], problem["status"]) == (kind.title, kind.status)
        assert kind.status == response.status_code
        assert problem["detail"]
        assert problem["request_id"] == response.headers["x-request-id"]


def test_405_names_every_method_of_the_path(shared):
    response = shared.client.put("/v1/sources")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    response = shared.client.post("/v1/sources/none")
    assert response.headers["allow"] == "DELETE, GET, HEAD, PATCH"


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64])
def test_a_sane_request_id_is_kept(shared, given):
    assert shared.client.get("/livez", headers={"X-Request-ID": given}).headers[
        "x-request-id"
    ] == given  # fmt: skip


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "a;b"])
def test_an_odd_request_id_is_replaced(shared, given):
    made = shared.client.get("/livez", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{20}", made)


def test_an_error_nobody_foresaw_is_a_problem_too(running, monkeypatch):
    def fail():
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(running.service.catalog, "collections", fail)
    response = running.client.get("/v1/collections")
    assert response.status_code == 500
    assert response.json()["type"] == "/problems/internal-error"
    assert "secret" not in response.text


def test_readiness_tells_of_an_index_that_cannot_follow(running, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no changes today")

    monkeypatch.setattr(running.service.catalog, "changes", fail)
    wait_for(lambda: running.client.get("/readyz").status_code == 503)
    monkeypatch.undo()
    wait_for(lambda: running.client.get("/readyz").status_code == 200)


def test_the_pages_load_nothing_from_elsewhere(shared):
    for page in ("/", "/docs"):
        response = shared.client.get(page)
        assert response.status_code == 200
        assert "default-src 'none'" in response.headers["content-security-policy"]
        links = re.findall(r'(?:src|href)="([^"]+)"', response.text)
        assert links
        for link in links:
            if link.startswith("#"):
                continue  # a place on the page itself
            assert link.startswith("/")
            assert shared.client.get(link).status_code == 200, link
    assert "cdn" not in shared.client.get("/docs").text


def test_swagger_ui_knows_openapi_3_1(shared):
    version = re.search(
        r'PACKAGE_VERSION:"(\d+)', shared.client.get("/docs/assets/swagger-ui-bundle.js").text
    )
    assert version is not None
    assert int(version[1]) >= 5
    assert shared.client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_the_description_has_ids_and_examples_everywhere(shared):
    description = shared.client.get("/openapi.json").json()
    operations = [
        operation for path in description["paths"].values() for operation in path.values()
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert not any("__" in name or "_v1_" in name for name in ids)
    for operation in operations:
        assert operation.get("description")
        for status, response in operation["responses"].items():
            if status >= "400":
                content = response["content"]["application/problem+json"]
                assert content["examples"]


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_uploads_do_not_outlive_their_request(shared):
    big = jpeg(picture(1, size=(3000, 2000)), quality=100)
    assert len(big) > 1_048_576, "large enough to go to a temporary file"
    shared.ask(big)
    descriptors = open_descriptors()
    for _ in range(5):
        shared.ask(big)
    wait_for(lambda: open_descriptors() <= descriptors + 1)

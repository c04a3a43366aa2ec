"""Bounds: what is refused before it is read, and clients that are slow, silent or too many."""

import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from app.requests.bodies import Pace
from app.requests.slots import Slots
from app.settings import Settings
from tests.support.clients import connected, get, head, read_response
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder
from tests.support.pictures import variation
from tests.support.service import serving
from tests.support.waiting import PATIENCE, wait_for


class Held(ThumbnailBackbone):
    """Waits in the forward pass until it is let go."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.free.set()

    def forward(self, images):
        assert self.free.wait(PATIENCE)
        return super().forward(images)


def test_a_request_holds_its_slot_before_its_body_is_read(tmp_path, encoder):
    settings = Settings(data=tmp_path, queue_limit=2, max_batch_images=2)
    image = variation(1)
    with serving(settings, encoder) as served, ExitStack() as stack:
        slow = [stack.enter_context(connected(served.url)) for _ in range(2)]
        for raw in slow:
            raw.sendall(head(len(image)) + image[:50])
        wait_for(lambda: served.service.slots.taken == 2)
        for path in ("/v1/attributions", "/v1/attributions/batch", "/v1/sources"):
            raw = stack.enter_context(connected(served.url))
            raw.sendall(head(10_000_000, path, "Expect: 100-continue"))
            status, problem = read_response(raw)  # a 100 would have asked for the body
            assert (status, problem["type"]) == (503, "/problems/overloaded"), path
        for raw in slow:
            raw.sendall(image[50:])
            assert read_response(raw)[0] == 200, "what was accepted is finished"
        wait_for(lambda: served.service.slots.taken == 0)


def test_a_batch_that_does_not_fit_gives_back_what_it_held(tmp_path):
    backbone = Held()
    settings = Settings(data=tmp_path, queue_limit=4, max_batch_images=4)
    with serving(settings, thumbnail_encoder(backbone)) as served:
        backbone.free.clear()
        asking = threading.Thread(target=served.ask, args=(variation(1),))
        asking.start()
        wait_for(lambda: served.service.slots.taken == 1)
        files = [("files", (f"{n}.jpg", variation(n))) for n in range(4)]
        refused = served.client.post("/v1/attributions/batch", files=files)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
        wait_for(lambda: served.service.slots.taken == 1)
        backbone.free.set()
        asking.join()
        assert served.client.post("/v1/attributions/batch", files=files).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/attributions", "/v1/attributions/batch", "/v1/sources", "/v1/sources/batch"]
)
def test_a_collection_that_is_not_there_is_refused_before_the_body(shared, path):
    for expecting in (("Expect: 100-continue",), ()):
        with connected(shared.url) as raw:
            raw.sendall(head(1000, f"{path}?collection=nowhere", *expecting))
            status, problem = read_response(raw)
        assert (status, problem["type"]) == (404, "/problems/collection-not-found")


@pytest.mark.parametrize(
    "path", ["/v1/attributions", "/v1/attributions/batch", "/v1/sources", "/v1/sources/batch"]
)
def test_a_collection_out_of_reach_is_refused_before_the_body(running, path):
    running.client.put("/v1/collections/theirs", json={})
    keys = running.service.catalog.keys
    token = keys.create("a", ["query", "curate"], collections=["default"]).token
    with connected(running.url) as raw:
        raw.sendall(head(1000, f"{path}?collection=theirs", f"Authorization: Bearer {token}"))
        status, problem = read_response(raw)
    assert (status, problem["type"]) == (404, "/problems/collection-not-found")


def test_bodies_beyond_the_room_for_all_of_them_are_refused_unread(tmp_path, encoder):
    settings = Settings(
        data=tmp_path, max_request_bytes=100_000, max_image_bytes=50_000, max_received_bytes=100_000
    )
    image = variation(1)
    with serving(settings, encoder) as served, ExitStack() as stack:
        first, second = (stack.enter_context(connected(served.url)) for _ in range(2))
        for raw in (first, second):
            raw.sendall(head(45_000) + image)
        held = "attribution_received_bytes 90000.0"
        wait_for(lambda: held in served.client.get("/metrics").text)
        third = stack.enter_context(connected(served.url))
        third.sendall(head(45_000, "/v1/attributions", "Expect: 100-continue"))
        assert read_response(third)[0] == 503

        def undeclared():
            for _ in range(20):
                yield b"\0" * 1000

        grown = served.client.post(
            "/v1/attributions", content=undeclared(), headers={"Content-Type": "image/png"}
        )
        assert grown.status_code == 503, "what was not declared counts as it arrives"
        first.close()
        second.close()
        wait_for(lambda: served.client.post("/v1/attributions", content=image,
                 headers={"Content-Type": "image/jpeg"}).status_code == 200)  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/attributions", "/v1/jobs", "/v1/sources/delete"])
def test_a_body_that_falls_silent_gets_408_and_its_place_is_free(tmp_path, encoder, path):
    settings = Settings(data=tmp_path, body_silence_seconds=0.4)
    types = {"/v1/jobs": "application/zip", "/v1/sources/delete": "application/json"}
    sent = head(1000, path).replace(b"image/jpeg", types.get(path, "image/jpeg").encode())
    with serving(settings, encoder) as served, connected(served.url) as raw:
        raw.sendall(sent + b"{")
        status, problem = read_response(raw)
        assert (status, problem["type"]) == (408, "/problems/request-timeout")
        assert raw.recv(1) == b"", "and the connection is closed"
        wait_for(lambda: served.service.slots.taken == served.service.receiving.taken == 0)
        assert [path.name for path in tmp_path.glob("jobs/*") if path.name != ".lock"] == []


def test_slow_loris_bodies_do_not_keep_others_out(tmp_path, encoder):
    settings = Settings(
        data=tmp_path, queue_limit=8, max_batch_images=8, body_silence_seconds=1.5, body_rate=1000
    )
    image = variation(1)
    with serving(settings, encoder) as served, ExitStack() as stack:
        slow = [stack.enter_context(connected(served.url)) for _ in range(8)]
        for raw in slow:
            raw.sendall(head(100_000))
        wait_for(lambda: served.service.slots.taken == 8)
        stopped = threading.Event()

        def drip():
            while not stopped.wait(0.2):  # never silent for long, and never done
                for raw in slow:
                    try:
                        raw.sendall(b"\xff")
                    except OSError:
                        stopped.set()

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            wait_for(lambda: served.client.post("/v1/attributions", content=image,
                     headers={"Content-Type": "image/jpeg"}).status_code == 200)  # fmt: skip
        finally:
            stopped.set()
            dripping.join()


def test_a_steady_body_is_not_hurried(tmp_path, encoder):
    settings = Settings(data=tmp_path, body_silence_seconds=2.0, body_rate=500)
    image = variation(1)
    with serving(settings, encoder) as served, connected(served.url) as raw:
        raw.sendall(head(len(image)))
        for start in range(0, len(image), len(image) // 8):
            time.sleep(0.27)  # 2.2 seconds in all
            raw.sendall(image[start : start + len(image) // 8])
        assert read_response(raw)[0] == 200


def test_the_pace_of_a_body():
    pace = Pace(silence=10.0, rate=1000)
    assert pace.patience(0, 0.0) == 10.0
    assert pace.patience(5_000, 9.0) == 6.0, "10 seconds and 5,000 bytes at 1,000 a second"
    assert pace.patience(1_000_000, 20.0) == 10.0, "a quick start buys no long silence"
    assert pace.patience(2_000, 12.5) < 0
    assert Pace(10.0, 0).patience(1, 1e6) == 10.0


@pytest.mark.parametrize("sent", [b"POST /v1/attrib", b"GET /livez HTTP/1.1\r\nX-Slow: "])
def test_a_head_that_does_not_end_is_given_up(tmp_path, encoder, sent):
    settings = Settings(data=tmp_path, head_seconds=0.6)
    with serving(settings, encoder) as served, connected(served.url) as raw:
        started = time.monotonic()
        raw.sendall(sent)
        time.sleep(0.3)
        raw.sendall(b"x")  # a byte now and then does not put it off
        status, problem = read_response(raw)
        assert (status, problem["type"]) == (408, "/problems/request-timeout")
        assert time.monotonic() - started < 20


def test_a_body_that_nobody_reads_does_not_hold_the_connection(tmp_path, encoder):
    settings = Settings(data=tmp_path, head_seconds=0.6, max_image_bytes=2000)
    with serving(settings, encoder) as served, connected(served.url) as raw:
        raw.sendall(head(1_000_000))
        assert read_response(raw)[0] == 413

        def closed():
            try:
                raw.sendall(b"\0" * 10)
            except OSError:
                return True
            return False

        wait_for(closed)


@contextmanager
def asking_for_much(url):
    """A connection with a small window that has asked for more than any buffer takes."""
    address = urlsplit(url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(PATIENCE)
        raw.connect((address.hostname, address.port))
        raw.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200)
        yield raw


def test_an_answer_that_nobody_reads_does_not_hold_its_connection(tmp_path, encoder):
    settings = Settings(data=tmp_path, body_silence_seconds=0.5)
    with serving(settings, encoder) as served, asking_for_much(served.url) as raw:
        whole = 200 * len(served.client.get("/openapi.json").content)
        wait_for(lambda: len(served.connections) == 1)  # that of the client, which stays open
        received = 0
        with suppress(ConnectionResetError):
            while received < whole and (data := raw.recv(1_000_000)):
                received += len(data)
        assert received < whole / 2


def test_an_answer_that_is_read_slowly_is_finished(tmp_path, encoder):
    settings = Settings(data=tmp_path, body_silence_seconds=0.5, body_rate=1000)
    with serving(settings, encoder) as served, asking_for_much(served.url) as raw:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert raw.recv(2048)
            time.sleep(0.005)
        whole = 100 * len(served.client.get("/openapi.json").content)
        received = 0
        while received < whole:
            data = raw.recv(1_000_000)
            assert data
            received += len(data)


def test_connections_beyond_the_limit_get_503_and_are_closed(tmp_path, encoder):
    settings = Settings(data=tmp_path, max_connections=8)
    with serving(settings, encoder) as served, ExitStack() as stack:
        idle = [stack.enter_context(connected(served.url)) for _ in range(7)]
        assert served.client.get("/livez").status_code == 200  # the eighth
        with connected(served.url) as raw:
            raw.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            status, problem = read_response(raw)
            assert (status, problem["type"]) == (503, "/problems/overloaded")
            assert raw.recv(1) == b""
        for raw in idle:
            raw.close()
        wait_for(lambda: get(f"{served.url}/livez").status_code == 200)


def test_what_is_no_http_gets_a_problem_document_too(shared):
    with connected(shared.url) as raw:
        raw.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        status, problem = read_response(raw)
    assert (status, problem["type"]) == (400, "/problems/malformed-body")


def test_an_answer_that_takes_too_long_is_given_up(tmp_path):
    backbone = Held()
    settings = Settings(data=tmp_path, answer_seconds=0.5)
    with serving(settings, thumbnail_encoder(backbone)) as served:
        backbone.free.clear()
        for path in ("/v1/attributions", "/v1/sources"):
            late = served.client.post(path, files={"file": variation(1)})
            assert (late.status_code, late.json()["type"]) == (503, "/problems/overloaded")
            assert int(late.headers["retry-after"]) > 0
        assert served.service.slots.taken == 0
        backbone.free.set()
        assert served.client.get("/v1/sources").json()["items"] == [], "nothing was written"


def test_slots_are_taken_all_or_none_and_given_back():
    slots = Slots(5)
    with slots.take(2) as held:
        held.grow(4)
        held.grow(3)
        assert slots.taken == 4
        with pytest.raises(Exception, match="4 images are being worked on, of at most 5"):
            held.grow(6)
        assert slots.taken == 4
    assert slots.taken == 0

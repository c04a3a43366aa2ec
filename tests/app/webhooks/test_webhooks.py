"""Webhooks from the answer to the receiver: signed, again, given up, and never in the way."""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image
from pydantic import SecretStr, ValidationError

from app.settings import Settings
from app.webhooks.sender import Sender
from attribution.catalog import Catalog, NewMessage, StorageFull, Told
from tests.support import jobs
from tests.support.pictures import jpeg, picture
from tests.support.service import serving
from tests.support.terminal import call
from tests.support.waiting import wait_for

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


class Receiver:
    """Somebody who is told; `answers` are the statuses of the next answers, then 204."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[tuple[int, dict]] = []
        self.seen: list[tuple[dict, bytes]] = []
        self.open = threading.Event()
        self.open.set()

    def told(self) -> list[dict]:
        return [json.loads(body) for _, body in self.seen]


@contextmanager
def receiving():
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.seen.append((dict(self.headers), body))
            receiver.open.wait()
            status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        receiver.url = f"http://localhost:{server.server_port}/hook"
        try:
            yield receiver
        finally:
            receiver.open.set()
            server.shutdown()


@pytest.fixture(scope="module")
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory, receiver, encoder, background):
    """A service that tells the receiver, of sources of the collection `art` alone."""
    settings = Settings(
        data=tmp_path_factory.mktemp("service"),
        inference_threads=1,
        webhook_urls=receiver.url,
        webhook_secret=SecretStr(SECRET),
        webhook_collections="art",
        webhook_private=True,
        webhook_attempts=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.webhooks.sender._FIRST_SECONDS", 0.01)
        patch.setattr("app.webhooks.sender._LOOK_SECONDS", 0.02)
        with serving(settings, encoder, background) as served:
            served.client.put("/v1/collections/art")
            for seed in range(20):
                served.add(seed, collection="art")
            served.add(50)
            yield served


@pytest.fixture(autouse=True)
def _fresh(receiver):
    receiver.seen.clear()
    receiver.answers.clear()


def queued(running):
    return running.service.catalog.webhooks.count()


def attributed(running, seed: int) -> dict:
    answer = running.ask(jpeg(picture(seed)), alpha=0.5)
    assert answer["decision"] == "attributed", "or there is nothing to tell"
    return answer


def test_an_attributed_source_is_told_and_signed(running, receiver):
    answer = attributed(running, 1)
    wait_for(lambda: receiver.seen and queued(running).waiting == 0)
    [(headers, body)] = receiver.seen
    headers = {name.lower(): value for name, value in headers.items()}
    told = json.loads(body)
    assert told["type"] == "source.attributed"
    data = told["data"]
    assert data["query"] == {"sha256": answer["query"]["sha256"]}
    named = [each for each in answer["sources"] if each["attributed"]]
    assert [each["source_id"] for each in data["sources"]] == [each["source_id"] for each in named]
    assert (data["sources"][0]["uri"], data["sources"][0]["match"]) == ("1.jpg", "identical")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    assert headers["host"] == receiver.url.split("/")[2], "asked by address, for whom it is meant"


def test_other_collections_and_no_source_are_not_told(running, receiver):
    assert running.ask(jpeg(picture(50)), alpha=0.5, collection="default")["sources"]
    blank = jpeg(Image.new("RGB", (96, 72), "teal"))
    assert running.ask(blank, alpha=0.5)["decision"] == "no_source_found"
    assert queued(running).waiting == 0
    assert receiver.seen == []


def test_what_fails_comes_again_with_its_id_and_then_stays_visible(running, receiver, monkeypatch):
    receiver.answers[:] = [(500, {})]
    attributed(running, 2)
    wait_for(lambda: len(receiver.seen) == 2 and queued(running).waiting == 0)
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    receiver.answers[:] = [(500, {}), (500, {})]
    attributed(running, 3)
    wait_for(lambda: queued(running).dead == 1)
    assert 'attribution_webhooks{state="dead"} 1.0' in running.client.get("/metrics").text
    [dead] = running.service.catalog.webhooks.every()
    assert (dead.attempts, dead.trouble) == (2, "it answers 500")
    assert running.service.catalog.webhooks.revive() == 1
    wait_for(lambda: queued(running).dead + queued(running).waiting == 0)
    assert len(receiver.seen) == 5


def test_a_redirect_is_not_followed(running, receiver):
    receiver.answers[:] = [(302, {"Location": receiver.url})] * 2
    attributed(running, 4)
    wait_for(lambda: queued(running).dead == 1)
    assert len(receiver.seen) == 2, "two attempts, and nothing else"
    assert running.service.catalog.webhooks.forget() == 1


def test_who_hangs_holds_up_no_answer(running, receiver):
    receiver.open.clear()
    try:
        attributed(running, 5)
        wait_for(lambda: receiver.seen)
        for seed in (6, 7, 8):
            attributed(running, seed)
        assert len(receiver.seen) == 1, "it hangs still, and all are answered"
        # Read from the disk, at once: who kills the process now loses none.
        assert queued(running).waiting == 4
    finally:
        receiver.open.set()
    wait_for(lambda: queued(running).waiting == 0)
    assert len(receiver.seen) == 4


def test_a_job_tells_as_a_request_does(running, receiver):
    sent = running.client.post(
        "/v1/jobs", params={"alpha": 0.5}, files={"files": jpeg(picture(9))}
    ).json()
    jobs.ended(running, sent)
    wait_for(lambda: receiver.seen)
    [told] = receiver.told()
    assert told["data"]["sources"][0]["uri"] == "9.jpg"


def test_a_takedown_is_told_and_its_source_in_no_message_that_waits(running, receiver):
    receiver.open.clear()
    try:
        attributed(running, 10)
        wait_for(lambda: receiver.seen)
        gone = attributed(running, 11)["sources"][0]["source_id"]
        running.client.post(
            "/v1/sources/delete",
            json={"source_ids": [gone], "takedown": True, "reason": "asked for"},
        )
    finally:
        receiver.open.set()
    wait_for(lambda: queued(running).waiting == 0)
    taken = [each["data"] for each in receiver.told() if each["type"] == "source.taken_down"]
    assert [(each["source_ids"], each["reason"]) for each in taken] == [([gone], "asked for")]
    told = [each["data"]["sources"] for each in receiver.told() if "sources" in each["data"]]
    assert gone not in {source["source_id"] for sources in told for source in sources}


def test_the_queue_is_bounded_and_knows_a_message_again(tmp_path):
    told = Told(("https://a.example", "https://b.example"), most=5)
    with Catalog.open(tmp_path) as catalog:
        message = NewMessage("source.taken_down", {"sha256s": []}, "msg_1")
        assert catalog.webhooks.put([message], told) == 0
        assert catalog.webhooks.put([message], told) == 0
        assert catalog.webhooks.count().waiting == 2
        more = [NewMessage("source.taken_down", {"sha256s": []}) for _ in range(5)]
        assert catalog.webhooks.put(more, told) == 2  # the fifth, to each
        assert catalog.webhooks.count().waiting == 10
        other = Told(("https://c.example", *told.urls), most=5)
        assert catalog.webhooks.put(more[:1], other) == 0  # the others know it
        [only] = catalog.webhooks.due("https://c.example")
        assert (only.message_id, only.url) == (more[0].message_id, "https://c.example")
        assert catalog.webhooks.forget(told.urls) == 1
        [first, *_] = catalog.webhooks.due("https://a.example")
        catalog.webhooks.failed(first.number, "x" * 600, again_in=timedelta(hours=1))
        assert first.number not in {each.number for each in catalog.webhooks.due(first.url)}


def test_messages_are_due_by_the_clock_of_the_database(tmp_path, monkeypatch):
    now = datetime(2000, 1, 1, tzinfo=UTC)
    monkeypatch.setattr("attribution.catalog.webhooks.moment", lambda _: now)
    with Catalog.open(tmp_path) as catalog:
        message = NewMessage("source.taken_down", {"sha256s": []})
        catalog.webhooks.put([message], Told(("https://a.example",), most=5))
        [first] = catalog.webhooks.due("https://a.example")
        catalog.webhooks.failed(first.number, "it answers 500", again_in=timedelta(hours=1))
        assert catalog.webhooks.due(first.url) == ()
        now += timedelta(hours=1)
        assert [each.due_at for each in catalog.webhooks.due(first.url)] == [now]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"webhook_urls": "https://a.example"}, "webhooks secret"),
        ({"webhook_urls": "http://a.example", "webhook_secret": SECRET}, "is not https"),
        ({"webhook_urls": "ftp://a", "webhook_secret": SECRET}, "no address"),
        ({"webhook_urls": "https://u:p@a", "webhook_secret": SECRET}, "no address"),
        ({"webhook_secret": "whsec_c2hvcnQ="}, "no secret of webhooks"),
    ],
)
def test_settings_that_could_not_work_are_refused(settings, told):
    with pytest.raises(ValidationError, match=told) as refused:
        Settings(**settings)
    assert "c2hvcnQ" not in str(refused.value)


def test_the_command_shows_tries_again_and_forgets(tmp_path):
    told = Told(("https://a.example",), most=5)
    with Catalog.open(tmp_path) as catalog:
        catalog.webhooks.put([NewMessage("source.taken_down", {"sha256s": []})], told)
        [message] = catalog.webhooks.every()
        catalog.webhooks.failed(message.number, "it answers 500", again_in=None)
    listed = call("webhooks", "list", "--data", tmp_path, "--json").document
    assert [(each["dead"], each["trouble"]) for each in listed] == [(True, "it answers 500")]
    assert "1 messages are tried again" in call("webhooks", "retry", "--data", tmp_path).out
    assert "0 messages forgotten" in call("webhooks", "forget", "--data", tmp_path).out
    secret = call("webhooks", "secret").out.strip()
    assert len(Settings(webhook_secret=SecretStr(secret)).webhook_keys[0]) == 32


@pytest.mark.parametrize("host", ["a..b", "xn--", "\N{SNOWMAN}.example", f"{'a' * 64}.example"])
def test_a_message_to_a_name_that_is_none_is_given_up(tmp_path, host):
    url = f"https://{host}/hook"
    with Catalog.open(tmp_path) as catalog:
        catalog.webhooks.put([NewMessage("source.taken_down", {"sha256s": []})], Told((url,), 5))
        trusted = ssl.create_default_context()
        sender = Sender(url, catalog, [KEY], attempts=1, private=False, trusted=trusted)
        sender.start()
        try:
            wait_for(lambda: catalog.webhooks.count().dead == 1)
        finally:
            sender.close()


def test_what_came_of_a_message_is_written_down_before_it_is_sent_again(
    tmp_path, receiver, monkeypatch
):
    monkeypatch.setattr("app.webhooks.sender._LOOK_SECONDS", 0.02)
    with Catalog.open(tmp_path) as catalog:
        messages = [NewMessage("source.taken_down", {"sha256s": [name]}) for name in "ab"]
        catalog.webhooks.put(messages, Told((receiver.url,), most=5))
        full, done, tried = threading.Event(), catalog.webhooks.done, []

        def recorded(number):
            tried.append(number)
            if full.is_set():
                raise StorageFull
            done(number)

        full.set()
        monkeypatch.setattr(catalog.webhooks, "done", recorded)
        trusted = ssl.create_default_context()
        sender = Sender(receiver.url, catalog, [KEY], attempts=2, private=True, trusted=trusted)
        sender.start()
        try:
            wait_for(lambda: len(tried) >= 3)
            assert len(receiver.seen) == 1
            full.clear()
            wait_for(lambda: catalog.webhooks.count().waiting == 0)
        finally:
            sender.close()
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == len(receiver.seen) == 2

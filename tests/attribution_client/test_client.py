"""The client against a real service, and against one that has no time."""

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest

from attribution_client import (
    AsyncClient,
    BrokenOff,
    Client,
    NotAnswered,
    NotTheService,
    Refused,
    documents,
)
from tests.support.answering import answering
from tests.support.clients import NO_TLS
from tests.support.encoders import background_of, thumbnail_encoder
from tests.support.pictures import jpeg, picture
from tests.support.service import serving


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    from app.settings import Settings  # noqa: PLC0415

    encoder = thumbnail_encoder()
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background_of(encoder)) as running:
        yield running


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, verify=NO_TLS, trust_env=False) as plain:
        yield Client(http=plain, patience=5)


def test_what_a_source_goes_through(client):
    assert client.put_collection("art", body=documents.PutCollection(description="a")).sources == 0
    added = client.add_source(
        ("lighthouse.jpg", jpeg(picture(1))),
        collection="art",
        metadata={"title": "Dusk\u2028", "metadata": {"camera": "X100"}},
    )
    assert (added.created, added.source.uri) == (True, "lighthouse.jpg")
    source_id = added.source.source_id
    changed = client.update_source(source_id, documents.SourcePatch(title=None))
    assert (changed.title, changed.metadata) == (None, {"camera": "X100"})
    assert [each.source_id for each in client.list_sources(collection=["art"]).items] == [source_id]
    assert [row["uri"] for row in client.export_sources()] == ["lighthouse.jpg"]
    for found, since in ((1, added.source.created_at), (0, datetime(2999, 1, 1, tzinfo=UTC))):
        assert len(client.list_sources(created_from=since).items) == found
    assert client.get_thumbnail(source_id, size=64)[:2] == b"\xff\xd8"
    answer = client.attribute_image(jpeg(picture(1)), top_k=1, min_generation=added.generation)
    assert [each.source_id for each in answer.sources] == [source_id]
    assert "\nattribution_" in client.metrics()
    taken = client.delete_sources(documents.DeleteSources(source_ids=[source_id]))
    assert taken.source_ids == [source_id]


def test_a_job_from_its_images_to_its_end(client):
    job = client.create_job([jpeg(picture(2)), ("bad.jpg", b"no image")])
    while client.get_job(job.job_id).ended_at is None:
        pass
    rows = {row["index"]: row for row in client.get_job_results(job.job_id)}
    assert rows[0].keys() >= {"attribution", "q_value"}
    assert (rows[1]["filename"], rows[1]["problem"]["status"]) == ("bad.jpg", 415)
    assert client.delete_job(job.job_id) is None


def test_a_refusal_says_which_and_why(client):
    with pytest.raises(Refused, match="there is no collection 'nowhere'") as refused:
        client.attribute_image(jpeg(picture(1)), collection=["nowhere"])
    assert (refused.value.status, refused.value.slug) == (404, "collection-not-found")
    with pytest.raises(Refused) as refused:
        client.get_source("src_/../../livez")
    assert refused.value.status in (404, 422), "what is asked for stays one part of the path"


def test_many_are_awaited_at_once(service):
    async def ask():
        plain = httpx.AsyncClient(base_url=service.url, verify=NO_TLS, trust_env=False)
        async with plain, AsyncClient(http=plain) as client:
            answers = await asyncio.gather(
                *(client.attribute_image(jpeg(picture(seed)), top_k=1) for seed in range(4))
            )
            rows = [row async for row in client.export_sources()]
            with pytest.raises(Refused, match="404"):
                await client.get_job("job_nowhere")
            return answers, rows, await client.get_thumbnail(kept["source_id"])

    kept = service.add(3)["source"]
    answers, rows, thumbnail = asyncio.run(ask())
    assert len({each.request_id for each in answers}) == 4
    assert [each.sources[0].uri for each in answers] == ["3.jpg"] * 4
    assert [row["uri"] for row in rows] == ["3.jpg"]
    assert thumbnail[:2] == b"\xff\xd8"


BUSY = (503, {}, b"")
JOB = {
    "job_id": "job_1", "state": "queued", "total": 1, "completed": 0, "failed": 0,
    "parameters": {"top_k": 1, "alpha": 0.01, "collection": None},
    "created_at": "2026-01-01T12:00:00Z", "started_at": None, "ended_at": None, "expires_at": None,
    "results_url": "/", "remaining": [],
}  # fmt: skip


def test_it_asks_again_when_the_service_says_so(monkeypatch):
    waited = []
    monkeypatch.setattr("attribution_client.client.time.sleep", waited.append)
    limited = (429, {"Retry-After": "3"}, b"")
    with answering(limited, BUSY, (202, {}, json.dumps(JOB).encode())) as (plain, seen):
        job = Client(http=plain).create_job([b"an image"])
    assert job.job_id == "job_1"
    assert waited == [3.0, 1.0]
    assert len({key for key, _ in seen}) == 1, "sent again it makes no second job"
    assert seen[0][0]
    assert len({body.partition(b"\r\n\r\n")[2][:8] for _, body in seen}) == 1


def test_a_job_whose_answer_broke_off_is_not_made_twice(monkeypatch):
    monkeypatch.setattr("attribution_client.client.time.sleep", lambda _: None)
    whole = json.dumps(JOB).encode()
    broken = (202, {"Content-Length": str(len(whole) + 1)}, whole)
    with answering(broken, (202, {}, whole)) as (plain, seen):
        assert Client(http=plain).create_job([b"an image"]).job_id == "job_1"
    assert len(seen) == 2
    assert len({key for key, _ in seen}) == 1


def test_lines_are_asked_for_again_and_end_where_the_service_ends_them(monkeypatch):
    monkeypatch.setattr("attribution_client.client.time.sleep", lambda _: None)
    rows = [{"title": "one\u2028two\x85three"}, {"title": "last"}]
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    for end in (b"", b"\n"):
        refused = (503, {"Content-Length": "9"}, b"busy")  # and breaks off
        with answering(refused, (200, {}, body + end)) as (plain, seen):
            assert list(Client(http=plain).export_sources()) == rows
        assert len(seen) == 2
    for status in (200, 404):
        cut = (status, {"Content-Length": "9999"}, body)
        with answering(cut) as (plain, _), pytest.raises(BrokenOff):
            list(Client(http=plain).export_sources())


@pytest.mark.parametrize("key", ["attr_secret\n", "attr_secret ", "attr_s\xe9cret", ""])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(key):
    with pytest.raises(ValueError, match="no API key") as refused:
        Client("http://127.0.0.1:9", key=key)
    assert "secret" not in str(refused.value)


def test_what_can_never_be_sent_is_tried_once(monkeypatch):
    waited = []
    monkeypatch.setattr("attribution_client.client.time.sleep", waited.append)
    with pytest.raises(NotAnswered, match="http://"):
        Client("127.0.0.1:8000", patience=1).livez()
    assert waited == []


def test_patience_ends_with_what_the_service_said_last(monkeypatch):
    monkeypatch.setattr("attribution_client.client._FIRST_PAUSE_SECONDS", 0.01)
    with answering(*[BUSY] * 10) as (plain, seen), pytest.raises(Refused, match="503"):
        Client(http=plain, patience=0.02).livez()
    assert 1 <= len(seen) < 10
    with pytest.raises(NotAnswered, match="cannot be reached"):
        Client("http://127.0.0.1:9", patience=0).livez()


@pytest.mark.parametrize("body", [b"<html>a router</html>", b"[]", b'{"status": 3}'])
def test_who_answers_otherwise_is_not_the_service(body):
    with answering((200, {}, body)) as (plain, _), pytest.raises(NotTheService, match="livez"):
        Client(http=plain).livez()

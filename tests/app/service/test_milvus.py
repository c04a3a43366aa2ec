"""A service whose vectors are in a Milvus: the answers of one in memory, and Milvus going away."""

import pytest

from app.settings import Settings
from attribution.catalog import Catalog
from attribution.index import IndexUnavailable
from attribution.index.milvus.held import Held
from attribution.index.milvus.server import Server
from attribution.maintenance import erase, verify
from attribution.opening.keeping import kept_null_of
from attribution.opening.load import Vision
from tests.support.milvus import MilvusServer, require
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import wait_for

_PATIENCE = "attribution.index.milvus.server._SECONDS"


@pytest.fixture
def milvus(tmp_path):
    require()
    server = MilvusServer(tmp_path / "milvus")
    yield server
    server.stop()


def asked(service, **parameters):
    """Every answer, without what is of the moment."""
    found = []
    for seed in (1, 3, 90):
        answer = service.ask(variation(seed), **parameters)
        del answer["timings_ms"], answer["request_id"]
        found.append(answer)
    return found


def mended_and_erased(settings, encoder, background, monkeypatch):
    """What is kept of a stopped service, and what commands do about the rows in its Milvus."""
    data, url, snapshots = settings.data, settings.index_url, settings.snapshots
    known = {"snapshots": snapshots, "index_url": url}
    assert verify(data, lambda _: encoder, **known).sound
    with Catalog.existing(data) as catalog:
        kept = kept_null_of(settings, catalog, Vision(encoder, background))
        assert kept.generation == catalog.generation()
        assert not any(snapshots.iterdir())
        held = Held(Server(url), encoder.parts, encoder.model_id, catalog.epoch)
        held.remove(held.rows(0, None).ids[:2])
        for repair, state in ((False, "mendable"), (True, "mended")):
            [found] = verify(data, lambda _: encoder, **known, repair=repair).findings
            assert (found.kind, found.state) == ("index-drift", state)
            assert "2 sources are not in it" in found.detail
        assert verify(data, lambda _: encoder, **known).sound
        assert erase(catalog, data, snapshots, index_url=url).index_clean
        monkeypatch.setattr(_PATIENCE, 0.3)
        lost = erase(catalog, data, snapshots, index_url="http://127.0.0.1:1")
        assert (lost.index_clean, len(lost.remaining)) == (False, 1)


def test_its_answers_are_those_of_the_index_in_memory(tmp_path, encoder, background, monkeypatch):
    require()
    data = tmp_path / "data"
    with serving(Settings(data=data, inference_threads=1), encoder, background) as service:
        service.client.put("/v1/collections/art", json={})
        for seed in range(12):
            service.add(seed, collection="art" if seed % 3 else "default")
        everywhere, within = asked(service), asked(service, collection="art")
    remote = Settings(data=data, inference_threads=1, index_url=str(tmp_path / "vectors.db"))
    with serving(remote, encoder, background) as service:
        assert asked(service) == everywhere
        assert asked(service, collection="art") == within
        assert "attributed" in [answer["decision"] for answer in everywhere]
        gone = everywhere[1]["sources"][0]["source_id"]
        service.client.delete(f"/v1/sources/{gone}")
        service.add(30)
        asked_to = []
        with monkeypatch.context() as patch:
            patch.setattr(Held, "compact", lambda held: asked_to.append(held.name))
            taken = {"source_ids": [service.add(31)["source"]["source_id"]], "takedown": True}
            service.client.post("/v1/sources/delete", json={**taken, "reason": "asked for"})
            wait_for(lambda: asked_to)
        assert len(asked_to) == 1
        changed = asked(service)
        assert gone not in str(changed)
        index = service.client.get("/v1/index").json()
        assert (index["kind"], index["vectors"]) == ("milvus", 12)
    with monkeypatch.context() as patch:
        mended_and_erased(remote, encoder, background, patch)
    with serving(Settings(data=data, inference_threads=1), encoder, background) as service:
        assert asked(service) == changed


def test_without_milvus_it_is_not_ready_and_comes_back_with_it(
    tmp_path, encoder, background, milvus, monkeypatch
):
    settings = Settings(
        data=tmp_path / "data", inference_threads=1, index_url=milvus.url, follow_seconds=0.05
    )
    with serving(settings, encoder, background) as service:
        service.add(1)
        first = service.ask(variation(1))
        milvus.stop()
        with monkeypatch.context() as patch:
            patch.setattr(_PATIENCE, 0.5)
            wait_for(lambda: service.client.get("/readyz").status_code == 503)
            lost = service.client.post("/v1/attributions", files={"file": variation(1)})
            assert (lost.status_code, lost.json()["type"]) == (503, "/problems/index-unavailable")
            assert "attribution_index_up 0.0" in service.client.get("/metrics").text
            added = service.client.post("/v1/sources", files={"file": ("2.jpg", jpeg(picture(2)))})
            assert added.status_code == 201  # the catalog has it, and the index will
        milvus.start()
        wait_for(lambda: service.client.get("/readyz").status_code == 200)
        again = service.ask(variation(1), min_generation=added.json()["generation"])
        assert again["sources"][0]["source_id"] == first["sources"][0]["source_id"]
        assert len(again["sources"]) == 2
        assert "attribution_index_up 1.0" in service.client.get("/metrics").text


def test_a_milvus_that_hangs_keeps_no_write_waiting(tmp_path, encoder, milvus, monkeypatch):
    def fail(*_):
        raise IndexUnavailable("no answer within ten seconds")

    settings = Settings(data=tmp_path / "data", index_url=milvus.url, follow_seconds=0.05)
    with serving(settings, encoder) as service:
        follower, tried = service.service.serving.follower, []
        with monkeypatch.context() as patch:
            patch.setattr("app.service.service._APPLYING", 0.05)
            patch.setattr(service.service.serving.index, "apply", fail)
            with follower.hold():  # as does the first write, to which Milvus owes an answer
                service.add(1)
                service.add(2)
            wait_for(lambda: follower.failed)
            patch.setattr(follower, "catch_up", tried.append)
            last = service.add(3)
            assert tried == []
        assert len(service.ask(variation(3), min_generation=last["generation"])["sources"]) == 3

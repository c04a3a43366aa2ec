"""One writer, many readers: several services on one catalog and one Milvus, here in one process."""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from app.settings import Settings
from attribution.catalog import INDEXER
from attribution.index import IndexUnavailable
from tests.support.jobs import ended, read
from tests.support.milvus import MilvusServer, require
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import Running, serving
from tests.support.waiting import wait_for

_SHARED = {"inference_threads": 1, "lease_seconds": 60, "generation_wait_seconds": 60}
"""No lease ends for want of a core: where one must, a test ends it."""


def settings_of(role, data, **known):
    follow = 0.05 if role == "indexer" else 0.5  # the others look when they are asked, too
    return Settings(data=data, role=role, follow_seconds=follow, **{**_SHARED, **known})


@dataclass
class Several:
    """Two indexers, of which one waits, an api and two workers."""

    data: object
    indexer: Running
    waiting: Running
    api: Running
    workers: tuple[Running, Running]


@pytest.fixture(scope="module")
def several(tmp_path_factory, encoder, background):
    require()
    folder = tmp_path_factory.mktemp("roles")
    with ExitStack() as stack:
        one, two, api, *workers = [
            stack.enter_context(
                serving(
                    settings_of(role, folder / "data", index_url=str(folder / "vectors.db")),
                    encoder,
                    background,
                )
            )
            for role in ("indexer", "indexer", "api", "worker", "worker")
        ]
        yield Several(folder / "data", one, two, api, tuple(workers))


def told(service, seed, **parameters):
    answer = service.ask(variation(seed), **parameters)
    del answer["timings_ms"], answer["request_id"]
    return answer


def ends(lease):
    """As where its process could not renew it for so long."""
    lease._stopping.set()
    lease._thread.join()
    lease._until = float("-inf")


def dies(service):
    """As a killed process, whose lease has run out: it writes nothing any more."""
    ends(service.service.lease)
    service.service.catalog.leases.take(INDEXER, service.service.lease.holder, 0)


def test_readers_see_what_was_written_and_decide_as_one_process_does(several, encoder, background):
    indexer, first, second = several.indexer, several.api, several.workers[0]
    first.client.put("/v1/collections/art", json={})
    for seed in range(5):
        added = first.add(seed, collection="art" if seed % 2 else "default")
        seen = told(second, seed, min_generation=added["generation"])
        assert seen["index_generation"] >= added["generation"]
        assert seen["sources"][0]["source_id"] == added["source"]["source_id"]
        assert seen["calibration"]["state"] == "fresh"
    gone = told(first, 3)["sources"][0]["source_id"]
    deleted = second.client.delete(f"/v1/sources/{gone}").json()
    now = {"min_generation": deleted["generation"]}
    asked = [(3, now), (4, now), (90, now), (3, {**now, "collection": "art"})]
    answers = [told(first, seed, **parameters) for seed, parameters in asked]
    assert [told(second, seed, **parameters) for seed, parameters in asked] == answers
    assert [told(indexer, seed, **parameters) for seed, parameters in asked] == answers
    assert gone not in str(answers)
    assert "attribution_index_writer 1.0" in indexer.client.get("/metrics").text
    assert "attribution_index_writer 0.0" in first.client.get("/metrics").text
    with serving(Settings(data=several.data, inference_threads=1), encoder, background) as alone:
        assert [told(alone, seed, **parameters) for seed, parameters in asked] == answers
    assert {answer["decision"] for answer in answers} == {"attributed", "no_source_found"}


def test_what_the_null_missed_is_published_without_another_write(several, monkeypatch):
    def fail(*_, **__):
        raise IndexUnavailable("Milvus has just gone away")

    with monkeypatch.context() as patch:
        patch.setattr("attribution.calibration.neighbours.part_scores_of", fail)
        added = several.api.add(50)
        wait_for(lambda: several.indexer.client.get("/readyz").status_code == 503)
    seen = told(several.api, 50, min_generation=added["generation"])
    assert seen["sources"][0]["source_id"] == added["source"]["source_id"]
    assert seen["calibration"]["state"] == "fresh"


def test_two_workers_share_a_job_and_none_of_its_images_is_done_twice(several):
    several.api.add(1)
    pictures = [jpeg(picture(number, (48, 48))) for number in range(34)]
    files = [("files", (f"{number}.jpg", data)) for number, data in enumerate(pictures)]
    job = several.api.client.post("/v1/jobs", files=files).json()
    assert ended(several.api, job)["state"] == "finished"
    results = read(several.api, job)
    assert sorted(result["index"] for result in results) == list(range(34))
    assert {result["attribution"]["calibration"]["state"] for result in results} == {"fresh"}
    answered = sum(
        float(line.split()[1])
        for worker in several.workers
        for line in worker.client.get("/metrics").text.splitlines()
        if line.startswith('attribution_job_images_total{outcome="answered"}')
    )
    assert answered == 34


def test_another_indexer_takes_over_and_a_service_without_one_says_so(several):
    first, second, reader = several.indexer, several.waiting, several.api
    assert (first.service.writes, second.service.writes) == (True, False)
    before, serves = reader.add(1), first.service.serving
    ends(first.service.lease)
    first.service.switch.follow()
    assert first.service.serving is serves  # nobody else writes
    assert "attribution_index_writer 0.0" in first.client.get("/metrics").text
    dies(first)
    second.service.lease._renew()
    first.service.lease._renew()
    wait_for(lambda: second.service.writes and not first.service.serving.writes)
    added = reader.add(2)
    seen = told(reader, 2, min_generation=added["generation"])
    assert seen["sources"][0]["source_id"] == added["source"]["source_id"]
    assert before["source"]["source_id"] in str(told(reader, 1))
    dies(second)
    wait_for(lambda: reader.client.get("/readyz").json()["status"] == "degraded")
    assert reader.client.get("/readyz").json()["troubles"][0]["part"] == "indexer"
    assert 'attribution_storage_failing{part="indexer"} 1.0' in reader.client.get("/metrics").text
    assert told(reader, 2) == seen  # what was published stays
    second.service.lease._renew()
    wait_for(lambda: reader.client.get("/readyz").json()["status"] == "ok")


def test_each_role_tells_what_is_away_and_comes_back_with_it(
    tmp_path, encoder, background, postgresql, monkeypatch
):
    require()
    url, milvus = postgresql.empty_catalog(), MilvusServer(tmp_path / "milvus")
    with ExitStack() as stack:
        stack.callback(milvus.stop)

        def begun(role):
            settings = settings_of(
                role, tmp_path / "data", database_url=url, index_url=milvus.url, lease_seconds=8
            )
            return stack.enter_context(serving(settings, encoder, background))

        every = [begun(role) for role in ("indexer", "api", "worker")]

        def told():
            said = [one.client.get("/readyz") for one in every]
            return {(each.status_code, each.json()["status"]) for each in said}

        def all_metrics(line):
            return all(line in one.client.get("/metrics").text for one in every)

        every[1].add(1)
        wait_for(lambda: told() == {(200, "ok")})
        with postgresql.out_of_reach(url):
            wait_for(lambda: told() == {(503, 503)})
            assert {one.client.get("/metrics").status_code for one in every} == {503}
            every[0].service.lease._until = float("-inf")  # it has run out by now
        wait_for(lambda: told() == {(200, "ok")})
        monkeypatch.setattr("attribution.index.milvus.server._SECONDS", 0.5)
        milvus.stop()
        wait_for(lambda: told() == {(503, 503)})
        assert all_metrics("attribution_index_up 0.0")
        added = every[1].add(2)
        milvus.start()
        wait_for(lambda: told() == {(200, "ok")})
        seen = [one.ask(variation(2), min_generation=added["generation"]) for one in every]
        for answer in seen:
            assert answer["sources"][0]["source_id"] == added["source"]["source_id"]
            assert len(answer["sources"]) == 2
        assert "attribution_index_writer 1.0" in every[0].client.get("/metrics").text
        lost = every[0].service.serving
        lost.index._held.drop()
        # The indexer fills it from the catalog, whether or not there is something new.
        wait_for(lambda: told() == {(200, "ok")} and every[0].service.serving is not lost)
        last = every[1].add(3)
        now = {"min_generation": last["generation"]}
        wait_for(lambda: answered(every[1], now) == 200)
        assert len(every[1].ask(variation(3), **now)["sources"]) == 3


def answered(service, parameters):
    """The status of an answer."""
    files = {"file": variation(3)}
    return service.client.post("/v1/attributions", params=parameters, files=files).status_code

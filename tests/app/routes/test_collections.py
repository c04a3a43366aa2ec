"""Collections over HTTP: made, described, listed, deleted."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.support.clients import client as new_client
from tests.support.pictures import variation


def test_collections_come_and_go(running):
    response = running.client.put("/v1/collections/art", json={"description": "A"})
    assert (response.status_code, response.json()["sources"]) == (201, 0)
    response = running.client.put("/v1/collections/art", json={"description": "B"})
    assert (response.status_code, response.json()["description"]) == (200, "B")
    running.add(1, collection="art")
    assert running.client.get("/v1/collections/art").json()["sources"] == 1
    names = [item["name"] for item in running.client.get("/v1/collections").json()["items"]]
    assert names == ["art", "default"]
    deleted = running.client.delete("/v1/collections/art").json()
    assert deleted["deleted"] == 1
    assert running.ask(variation(1), min_generation=deleted["generation"])["sources"] == []
    assert running.client.get("/v1/collections/art").status_code == 404
    assert running.client.delete("/v1/collections/art").status_code == 404
    response = running.client.delete("/v1/collections/default")
    assert (response.status_code, response.json()["type"]) == (
        409,
        "/problems/collection-protected",
    )
    assert running.client.put("/v1/collections/No%20Name").status_code == 422


def test_of_many_that_make_a_collection_at_once_one_is_told_that_it_did(shared):
    callers, rounds = 16, 10
    together = threading.Barrier(callers)

    def put(caller):
        with new_client(shared.url, timeout=60) as client:
            for round_ in range(rounds):
                together.wait(60)
                body = {"description": f"of {caller}"}
                response = client.put(f"/v1/collections/race{round_}", json=body)
                assert response.json()["description"] == body["description"]
                yield response.status_code

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda caller: list(put(caller)), range(callers)))
    for statuses in zip(*answers, strict=True):
        assert sorted(statuses) == [200] * (callers - 1) + [201]

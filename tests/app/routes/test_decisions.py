"""Decisions over HTTP: p-values while sources come and go, the state, and a batch's q-values."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attribution.calibration.false_discovery import q_values
from models.background import Background
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving


@pytest.fixture(scope="module")
def stratified(background):
    strata = np.repeat(np.arange(3), 100).astype(np.uint8)
    return Background(background.model_id, background.rows, background.thumbnails, strata)


def add(served, seeds):
    files = [("files", (f"{seed}.jpg", jpeg(picture(seed)))) for seed in seeds]
    response = served.client.post("/v1/sources/batch", files=files)
    assert response.status_code == 200, response.text
    return [item["source"]["source_id"] for item in response.json()["items"]]


def p_values(served, seeds):
    answers = [served.ask(variation(seed), top_k=5, alpha=0.05) for seed in seeds]
    assert {answer["calibration"]["state"] for answer in answers} == {"fresh"}
    return [
        [answer["p_value"], *(source["p_value"] for source in answer["sources"])]
        for answer in answers
    ]


def test_p_values_after_sources_came_and_went_are_those_of_a_fresh_start(
    settings, encoder, stratified
):
    asked = [3, 55, 120, 900, 901, 902, 903]  # held, deleted, and never held
    with serving(settings, encoder, stratified) as served:
        ids = add(served, range(30))
        done = threading.Event()

        def read():
            while not done.wait(0.02):
                assert served.ask(variation(5), alpha=0.05)["sources"]

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                for start in range(30, 130, 50):
                    ids += add(served, range(start, start + 50))
                deleted = {"source_ids": [*ids[40:90], *ids[100:110]]}
                response = served.client.post("/v1/sources/delete", json=deleted)
                assert response.status_code == 200, response.text
            finally:
                done.set()
            for reader in readers:
                reader.result()
        followed = p_values(served, asked)
    with serving(settings, encoder, stratified) as served:
        while served.client.get("/v1/index").json()["calibration"]["state"] != "fresh":
            pass
        assert p_values(served, asked) == followed
    assert followed[0][0] <= 0.05 < max(followed[3][0], followed[4][0])


def test_the_index_tells_what_decisions_rest_on(settings, encoder, stratified):
    with serving(settings, encoder, stratified) as served:
        add(served, range(10_000, 10_003))  # pictures of the background's first stratum
        state = served.client.get("/v1/index").json()
        answers = [served.ask(variation(seed), alpha=0.05) for seed in (10_000, 5)]
        later = served.client.get("/v1/index").json()["calibration"]
    calibration = state["calibration"]
    assert calibration["recent"]["queries"] == 0
    recent = later["recent"]
    assert recent["queries"] == sum(recent["p_values"]) == 2
    assert all(recent["p_values"][min(int(10 * each["p_value"]), 9)] for each in answers)
    assert (recent["likened"], recent["unlike_background"]) == (0, 0)  # an encoder of one part
    assert {each["background_likeness"] for each in answers} == {None}
    assert calibration["state"] == "fresh"
    assert calibration["generation"] == state["generation"]
    assert calibration["background"] == [
        {"stratum": "photo", "images": 97, "copies": 3},
        {"stratum": "generated", "images": 100, "copies": 0},
        {"stratum": "laundered", "images": 100, "copies": 0},
    ]


def test_without_a_background_nothing_is_reported_and_no_q_value_given(settings, encoder):
    with serving(settings, encoder) as served:
        add(served, range(3))
        calibration = served.client.get("/v1/index").json()["calibration"]
        files = [("files", ("a.jpg", variation(1)))]
        [item] = served.client.post("/v1/attributions/batch", files=files).json()["items"]
    assert calibration == {
        "id": None,
        "state": "missing",
        "generation": None,
        "background": [],
        "shares": "default",
        "shares_fitted_at": None,
        "recall": 0.0,
        "recent": {
            "queries": 0, "p_values": [0] * 10, "likened": 0, "unlike_background": 0,
            "without_source": None, "evenness": None, "sameness": None, "median_ms": None,
            "p95_ms": None,
        },
    }  # fmt: skip
    assert item["q_value"] is None
    assert item["attribution"]["p_value"] is None


def test_images_of_a_batch_have_q_values_among_those_answered(shared):
    add(shared, range(20))
    files = [variation(seed) for seed in (1, 2, 3, 700, 701, 702)]
    files.insert(2, b"no image")
    items = shared.client.post(
        "/v1/attributions/batch",
        files=[("files", (f"{place}.jpg", data)) for place, data in enumerate(files)],
        params={"alpha": 0.05},
    ).json()["items"]
    assert "problem" in items.pop(2)
    found = [item["attribution"]["p_value"] for item in items]
    assert [item["q_value"] for item in items] == pytest.approx(q_values(found).tolist())
    assert items[0]["q_value"] >= found[0]


def test_the_index_tells_what_the_last_answers_were_like(running):
    add(running, range(3))
    told = [running.ask(variation(seed)) for seed in (1, 2, 500, 501)]
    recent = running.client.get("/v1/index").json()["calibration"]["recent"]
    counts, _ = np.histogram([each["p_value"] for each in told], bins=10, range=(0, 1))
    assert recent["p_values"] == counts.tolist()
    assert recent["queries"] == 4
    assert (recent["without_source"], recent["evenness"], recent["sameness"]) == (None, None, None)
    assert 0 < recent["median_ms"] <= recent["p95_ms"]

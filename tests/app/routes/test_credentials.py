"""What an image's own manifest says stands beside the answer; and what standards say of sources."""

import json
import sys

import iscc_core
import pytest

from tests.support import jobs
from tests.support.credentials import signed
from tests.support.pictures import jpeg, picture


@pytest.fixture(scope="module")
def held(shared):
    ids = {}
    shared.client.put("/v1/collections/other")
    metadata = {"title": "Dusk", "metadata": {"data_mining": "DMI-PROHIBITED-AIMLTRAINING"}}
    for collection, seed, said in (
        ("default", 1, metadata),
        ("default", 2, {"metadata": {"embedded": {"do_not_train": False}}}),
        ("default", 3, {"uri": "xmp:iid:3"}),
        ("other", 4, {}),
    ):
        added = shared.client.post(
            "/v1/sources",
            params={"collection": collection},
            files={"file": (f"{seed}.jpg", jpeg(picture(seed)))},
            data={"metadata": json.dumps(said)},
        )
        assert added.status_code == 201, added.text
        ids[seed] = added.json()["source"]["source_id"]
    return ids


@pytest.fixture(scope="module")
def query():
    named = [
        {"title": "two.jpg", "picture": jpeg(picture(2))},
        {"title": "three.jpg", "instance_id": "xmp:iid:3", "picture": jpeg(picture(9))},
        {"title": "nobody.jpg", "picture": jpeg(picture(8))},
    ]
    return signed(jpeg(picture(7)), *named, embedded=jpeg(picture(4)), thumbnails=True)


def names(said: dict) -> dict:
    return {
        each["title"]: [(held["source_id"], held["by"]) for held in each["held"]]
        for each in said["ingredients"]
    }


def test_held_ingredients_are_named_apart_from_the_figures(shared, held, query):
    answer = shared.ask(query)
    said = answer["credentials"]
    assert (said["state"], said["generator"]) == ("valid", "Maker [31m 3.1")
    assert names(said) == {
        "two.jpg": [(held[2], "picture")],
        "three.jpg": [(held[3], "identifier")],
        "nobody.jpg": [],
        "whole.jpg": [(held[4], "bytes")],
    }
    plain = shared.ask(jpeg(picture(7)))
    assert plain["credentials"] is None
    figures = ("rank", "source_id", "score", "p_value", "share", "attributed")
    assert [[each[name] for name in figures] for each in answer["sources"]] == [
        [each[name] for name in figures] for each in plain["sources"]
    ], "what is said moves no figure"


def test_what_is_not_searched_is_not_named(shared, held, query):
    said = shared.ask(query, collection="default")["credentials"]
    assert names(said)["whole.jpg"] == []


def test_a_job_tells_the_same_until_the_source_is_gone(shared, held, query):
    sent = shared.client.post("/v1/jobs", files={"files": query}).json()
    jobs.ended(shared, sent)

    def said():
        [result] = jobs.read(shared, sent)
        return result["attribution"]["credentials"]

    first = said()
    assert names(first)["whole.jpg"] == [(held[4], "bytes")]
    assert first == shared.ask(query)["credentials"]
    shared.client.delete(f"/v1/sources/{held[4]}")
    assert names(said())["whole.jpg"] == []


def test_an_opt_out_stands_in_answers(shared, held):
    listed = {
        each["source_id"]: each["opt_out"] for each in shared.ask(jpeg(picture(1)))["sources"]
    }
    assert listed[held[1]] == {"do_not_train": True, "data_mining": "DMI-PROHIBITED-AIMLTRAINING"}
    assert listed[held[2]] == {"do_not_train": False, "data_mining": None}
    assert listed[held[3]] is None


def test_content_codes_are_made_on_demand(shared, held, monkeypatch):
    codes = shared.client.get(f"/v1/sources/{held[1]}/iscc").json()
    other = shared.client.get(f"/v1/sources/{held[2]}/iscc").json()
    assert codes["meta_code"] == iscc_core.gen_meta_code("Dusk")["iscc"]
    assert other["meta_code"] is None
    assert iscc_core.iscc_distance(codes["content_code"], other["content_code"]) > 0
    assert iscc_core.iscc_decompose(codes["content_code"])[0].startswith("EE")
    monkeypatch.setitem(sys.modules, "iscc_core", None)
    refused = shared.client.get(f"/v1/sources/{held[1]}/iscc")
    assert (refused.status_code, refused.json()["type"]) == (501, "/problems/iscc-unavailable")

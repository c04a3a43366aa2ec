"""`explain=true` over HTTP: maps inline, bounded, and never in the way of an answer."""

import asyncio
import base64
import io

import numpy as np
import pytest
from PIL import Image

from attribution.explanation.pictures import png
from attribution.synthesis.photographs import bundled_photographs
from tests.support.jobs import finished, read
from tests.support.pictures import jpeg, picture, variation
from tests.support.pictures import png as file_of

EXPLAIN = {"explain": "true"}


@pytest.fixture(scope="module")
def gallery(shared):
    return {seed: shared.add(seed)["source"]["source_id"] for seed in range(20)}


def opened(encoded):
    data = base64.b64decode(encoded, validate=True)
    assert len(data) < 4096
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
    assert image.mode == "P"
    return np.asarray(image)


def test_maps_of_attributed_sources_come_inline(shared, gallery):
    answer = shared.ask(variation(3), **EXPLAIN)
    first, *others = answer["sources"]
    assert first["source_id"] == gallery[3]
    assert first["attributed"]
    heat = first["heatmap"]
    for name in ("query", "source"):
        assert opened(heat[name]).shape == (heat["height"], heat["width"])
        assert opened(heat[name]).max() > 100  # a picture in its own variation
    borne = opened(heat["evidence"])
    assert borne.shape == (8, 8)
    assert borne.max() == 255  # the first one's score falls most
    assert np.median(borne) < 128
    assert all(source["heatmap"] is None for source in others if not source["attributed"])
    regions = answer["region_map"]
    ranks = opened(regions["png"])
    assert ranks.shape == (regions["height"], regions["width"])
    shown = {source["rank"] for source in answer["sources"] if source["attributed"]}
    assert set(np.unique(ranks)) <= shown | {0}
    assert {region["rank"] for region in regions["regions"]} == shown
    assert regions["regions"][0]["source_id"] == gallery[3]
    assert regions["regions"][0]["fraction"] == pytest.approx((ranks == 1).mean())
    assert regions["none_fraction"] == pytest.approx((ranks == 0).mean())
    timings = answer["timings_ms"]
    assert 0 < timings["explain"] <= timings["total"]


def test_pictures_are_not_drawn_on_the_event_loop(shared, gallery, monkeypatch):
    drawn_on = []

    def drawn(picture):
        drawn_on.append(asyncio._get_running_loop())
        return png(picture)

    monkeypatch.setattr("app.answers.png", drawn)
    assert shared.ask(variation(3), **EXPLAIN)["region_map"] is not None
    assert len(drawn_on) >= 3
    assert set(drawn_on) == {None}


def test_nothing_else_of_an_answer_changes(shared, gallery):
    plain, explained = shared.ask(variation(4)), shared.ask(variation(4), **EXPLAIN)
    assert plain["region_map"] is None
    assert plain["timings_ms"]["explain"] is None
    assert all(source["heatmap"] is None for source in plain["sources"])
    for source in explained["sources"]:
        source["heatmap"] = None
    assert explained["sources"] == plain["sources"]
    assert explained["decision"] == plain["decision"]


def test_without_an_attributed_source_the_first_three_have_maps_and_no_region(shared, gallery):
    answer = shared.ask(jpeg(picture(777_777)), **EXPLAIN)
    assert answer["decision"] == "no_source_found"
    present = [source["heatmap"] is not None for source in answer["sources"]]
    assert present == [True] * 3 + [False] * 7
    assert answer["region_map"]["regions"] == []
    assert answer["region_map"]["none_fraction"] == 1
    assert not opened(answer["region_map"]["png"]).any()


def test_an_empty_gallery_has_nothing_to_show(running):
    answer = running.ask(variation(1), **EXPLAIN)
    assert answer["sources"] == []
    assert answer["region_map"]["none_fraction"] == 1


def test_each_image_of_a_batch_is_explained(shared, gallery):
    data = [variation(1), b"words", variation(2)]
    files = [("files", (f"{place}.jpg", each)) for place, each in enumerate(data)]
    response = shared.client.post("/v1/attributions/batch", files=files, params=EXPLAIN)
    items = response.json()["items"]
    assert items[1]["problem"]["type"] == "/problems/unsupported-image"
    for place, seed in ((0, 1), (2, 2)):
        first = items[place]["attribution"]["sources"][0]
        assert first["source_id"] == gallery[seed]
        alone = shared.ask(variation(seed), **EXPLAIN)["sources"][0]["heatmap"]
        together = opened(first["heatmap"]["query"]).astype(int)
        assert np.abs(together - opened(alone["query"])).max() <= 1


def test_a_source_deleted_meanwhile_has_no_map(running, monkeypatch):
    ids = [running.add(seed)["source"]["source_id"] for seed in range(5)]
    read = running.service.catalog.preview

    def deleted_first(source_id):
        running.service.catalog.delete(source_ids=[ids[3]])
        return read(source_id)

    monkeypatch.setattr(running.service.catalog, "preview", deleted_first)
    answer = running.ask(variation(3), **EXPLAIN)
    assert answer["sources"][0]["source_id"] == ids[3]
    assert answer["sources"][0]["heatmap"] is None
    assert ids[3] not in {region["source_id"] for region in answer["region_map"]["regions"]}
    assert ids[3] not in {source["source_id"] for source in running.ask(variation(3))["sources"]}


def test_an_encoder_that_fails_on_patches_is_a_problem_not_a_crash(shared, gallery, monkeypatch):
    def fail(batch):
        raise RuntimeError("no patches today")

    monkeypatch.setattr(shared.service.serving.attributor.encoder, "embed_patches", fail)
    response = shared.client.post("/v1/attributions", params=EXPLAIN, files={"file": variation(1)})
    assert response.status_code == 503
    assert response.json()["type"] == "/problems/inference-failed"
    monkeypatch.undo()
    assert shared.ask(variation(1), **EXPLAIN)["sources"][0]["heatmap"] is not None


def test_what_may_lie_is_found_upright_and_its_maps_lie_with_it(shared, gallery):
    image = next(each.image for each in bundled_photographs() if each.name == "astronaut")
    small = image.convert("RGB").resize((160, 160))
    added = shared.client.post("/v1/sources", files={"file": ("held.png", file_of(small))})
    asked = Image.open(io.BytesIO(jpeg(small, quality=70)))
    lying = file_of(asked.transpose(Image.Transpose.ROTATE_90))
    asking = {"alpha": 0.5, "any_way_up": "true"}
    stands, lies = (shared.ask(data, **asking, **EXPLAIN) for data in (file_of(asked), lying))
    assert [each["turned"] for each in (stands, lies)] == [0, 90]
    assert lies["p_value"] == stands["p_value"]
    assert shared.ask(file_of(asked), alpha=0.5)["p_value"] == pytest.approx(lies["p_value"] / 4)
    for answer in (stands, lies):
        assert answer["decision"] == "attributed"
        assert answer["sources"][0]["source_id"] == added.json()["source"]["source_id"]
    for name, turned in (("query", 1), ("source", 0)):
        one, other = (opened(each["sources"][0]["heatmap"][name]) for each in (stands, lies))
        assert np.abs(np.rot90(one, turned).astype(int) - other).max() <= 1
    one, other = (opened(each["region_map"]["png"]) for each in (stands, lies))
    assert (np.rot90(one) == other).mean() > 0.98
    assert one.any()

    posted = shared.client.post("/v1/jobs", params=asking, files=[("files", ("a.png", lying))])
    assert posted.json()["parameters"]["any_way_up"] is True
    finished(shared, posted.json())
    [line] = read(shared, posted.json())
    assert line["attribution"]["turned"] == 90

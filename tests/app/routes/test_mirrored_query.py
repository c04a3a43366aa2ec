"""A service whose encoder compares mirror images too: alone, in a batch, after a delete."""

import io

import pytest
from PIL import Image, ImageOps

from app.settings import Settings
from tests.support.encoders import background_of, thumbnail_encoder
from tests.support.pictures import jpeg, picture, png, variation
from tests.support.service import serving

SEEDS = range(20)


@pytest.fixture(scope="module")
def mirroring(tmp_path_factory):
    encoder = thumbnail_encoder(mirrored_query=True)
    settings = Settings(data=tmp_path_factory.mktemp("mirrored"), inference_threads=1)
    with serving(settings, encoder, background_of(encoder)) as served:
        served.ids = {seed: served.add(seed)["source"]["source_id"] for seed in SEEDS}
        yield served


def as_stored(seed):
    """The pixels that the service was sent as source `seed`."""
    return Image.open(io.BytesIO(jpeg(picture(seed))))


def mirrored(seed):
    """A mirrored variation."""
    return png(ImageOps.mirror(Image.open(io.BytesIO(variation(seed)))))


def test_the_mirror_image_of_a_source_scores_like_the_source(mirroring, shared):
    straight = mirroring.ask(png(as_stored(3)))
    flipped = mirroring.ask(png(ImageOps.mirror(as_stored(3))))
    for answer in (straight, flipped):
        assert answer["decision"] == "attributed"
        assert answer["sources"][0]["source_id"] == mirroring.ids[3]
        assert answer["sources"][0]["score"] == pytest.approx(1, abs=1e-3)
    shared.add(3)  # a service without mirrored queries, as a control
    assert shared.ask(png(ImageOps.mirror(as_stored(3))))["sources"][0]["score"] < 0.8


def test_rows_of_sources_are_as_wide_as_ever(mirroring):
    assert mirroring.client.get("/v1/index").json()["dimension"] == 64


def test_a_stranger_still_has_no_source(mirroring):
    answer = mirroring.ask(jpeg(picture(777_777)))
    assert answer["decision"] == "no_source_found"
    assert len(answer["sources"]) == 10


def test_a_batch_answers_like_single_queries(mirroring):
    queries = [mirrored(seed) if seed % 2 else variation(seed) for seed in SEEDS]
    response = mirroring.client.post(
        "/v1/attributions/batch",
        files=[("files", (f"{seed}", data)) for seed, data in zip(SEEDS, queries, strict=True)],
    )
    together = [item["attribution"]["sources"] for item in response.json()["items"]]
    for seed, found in zip(SEEDS, together, strict=True):
        alone = mirroring.ask(queries[seed])["sources"]
        assert found[0]["source_id"] == mirroring.ids[seed]
        assert [source["source_id"] for source in found] == [each["source_id"] for each in alone]
        for one, other in zip(found, alone, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_a_deleted_source_is_not_found_by_its_mirror_image_either(mirroring):
    added = mirroring.add(500)["source"]["source_id"]
    assert mirroring.ask(mirrored(500))["sources"][0]["source_id"] == added
    assert mirroring.client.delete(f"/v1/sources/{added}").status_code in (200, 204)
    answer = mirroring.ask(mirrored(500))
    assert added not in {source["source_id"] for source in answer["sources"]}
    assert answer["calibration"]["state"] == "fresh"

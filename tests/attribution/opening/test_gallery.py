"""What a gallery has worked out is there for the next opening; erased sources are not."""

import hashlib
import json
import os

import pytest

from attribution.attributor import Terms
from attribution.calibration import Calibration
from attribution.catalog import Catalog, CollectionNotFound, NewSource
from attribution.folder_lock import folder_lock
from attribution.index import holds_removed
from attribution.maintenance import erase
from attribution.opening.gallery import open_gallery
from attribution.opening.load import Vision
from tests.support.folders import files_with
from tests.support.pictures import jpeg, picture

SOURCES = 30


@pytest.fixture(autouse=True)
def _takes_its_time(monkeypatch):
    """Few sources count as so many that their null is worth keeping."""
    monkeypatch.setattr("attribution.calibration.calibration._BUILT_SOON", SOURCES - 5)


@pytest.fixture
def vision(encoder, background):
    return Vision(encoder, background)


def add(place, encoder, numbers):
    """Sources by number: id, and the bytes of its row."""
    with Catalog.open(place.data) as catalog:
        images = [picture(number) for number in numbers]
        sources = [
            NewSource(
                collection="default",
                sha256=hashlib.sha256(b"%d" % number).hexdigest(),
                width=64, height=64, format="jpeg",
                embedding=row,
                preview=jpeg(image),
            )
            for number, image, row in zip(numbers, images, encoder.encode(images), strict=True)
        ]  # fmt: skip
        added = catalog.add(encoder.model_id, sources).items
        return {
            number: (item.source.source_id, source.embedding.astype("<f4").tobytes())
            for number, item, source in zip(numbers, added, sources, strict=True)
        }


@pytest.fixture
def held(place, encoder):
    return add(place, encoder, range(SOURCES))


def manifest_of(place):
    [path] = place.snapshots.glob("*/manifest.json")
    return json.loads(path.read_bytes())


def decision(gallery, encoder, number):
    rows = encoder.encode([picture(number)], domain="query")
    [answer] = gallery.attributor.attribute(rows)
    return answer.decision, answer.p_value, answer.sources[0].score


@pytest.mark.usefixtures("held")
def test_the_second_opening_scores_nothing_and_gives_the_same_answer(
    place, vision, encoder, monkeypatch
):
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
        first = decision(gallery, encoder, 3)
    assert first[0] == "attributed"
    assert manifest_of(place)["companion"]["generation"] == SOURCES
    monkeypatch.setattr(Calibration, "build", pytest.fail)
    saved = (place.snapshots / "CURRENT").read_bytes()
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
        assert decision(gallery, encoder, 3) == first
    assert (place.snapshots / "CURRENT").read_bytes() == saved, "nothing new, nothing written"


@pytest.mark.usefixtures("held")
def test_a_damaged_null_is_said_built_anew_and_saved_again(place, vision, caplog):
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
    [path] = place.snapshots.glob("*/beside-scores.npy")
    path.write_bytes(path.read_bytes()[:-4])
    with open_gallery(place, vision) as gallery:
        assert gallery.calibration.state().state == "building"
        gallery.prepare()
    assert "the null is built anew" in caplog.text
    with open_gallery(place, vision) as gallery:
        assert gallery.calibration.state().state == "fresh"


@pytest.mark.usefixtures("held")
def test_beside_a_service_and_in_a_folder_of_somebody_else_nothing_is_saved(
    place, vision, monkeypatch
):
    with folder_lock(place.data, "a service"), open_gallery(place, vision) as gallery:
        gallery.prepare()
    assert not place.snapshots.exists()
    monkeypatch.setattr(os, "geteuid", lambda: place.data.stat().st_uid + 1)
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
    assert not place.snapshots.exists()


def test_what_was_erased_while_it_was_open_is_not_written(place, vision, held):
    gone, row = held[7]
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
        with Catalog.open(place.data) as catalog:
            catalog.takedowns.take(source_ids=[gone], reason="a test")
            erased = erase(catalog, place.data, place.snapshots)
        assert files_with(place.data, row[:32]) == []
    assert manifest_of(place)["companion"]["generation"] == SOURCES + 1
    assert not holds_removed(place.snapshots, erased.generation)
    assert files_with(place.data, row[:32]) == []


def test_a_takedown_after_the_save_leaves_no_trace_in_the_null(place, vision, held):
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
    with Catalog.open(place.data) as catalog:
        catalog.takedowns.take(source_ids=[held[7][0]], reason="a test")
        assert erase(catalog, place.data, place.snapshots).index_clean
    assert list(place.snapshots.iterdir()) == []
    with open_gallery(place, vision) as gallery:
        gallery.prepare()
        assert gallery.calibration.state().state == "fresh"
    assert not holds_removed(place.snapshots, SOURCES + 1)


@pytest.mark.usefixtures("held")
def test_a_question_about_some_collections_makes_no_null_of_all(place, vision, encoder):
    with open_gallery(place, vision) as gallery:
        gallery.prepare(["default"])
        rows = encoder.encode([picture(3)], domain="query")
        [answer] = gallery.attributor.attribute(rows, Terms(collections=frozenset({"default"})))
        assert answer.decision == "attributed"
        assert gallery.calibration.state().state == "building"
        with pytest.raises(CollectionNotFound):
            gallery.prepare(["nowhere"])
    assert not place.snapshots.exists()

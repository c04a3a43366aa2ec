"""`attribution calibrate`: a fit from the sources held, stored where a service takes it up."""

import json
import shutil

import pytest

from attribution.calibration.shares import KIND, ShareModel
from attribution.catalog import Catalog


@pytest.fixture(scope="module")
def gallery(attribution, draw_pictures, tmp_path_factory):
    """Data folder with 24 pictures; copy it to write."""
    folder = tmp_path_factory.mktemp("calibrate")
    done = attribution("ingest", draw_pictures(folder / "p", range(24)), "--data", folder / "data")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def data(gallery, tmp_path):
    return shutil.copytree(gallery / "data", tmp_path / "data")


@pytest.fixture(autouse=True)
def _small_queries(monkeypatch):
    """Synthetic queries of 40 pixels instead of 128: a tenth of the time."""
    monkeypatch.setattr("attribution.rehearsal.rehearsal.SIZE", 40)


def stored(data):
    with Catalog.open(data) as catalog:
        [model_id] = catalog.models()
        return catalog.newest_calibration(model_id, KIND)


def test_a_fit_to_the_sources_held_is_stored(attribution, data):
    done = attribution("calibrate", "--data", data, "--queries", 40, "--json")
    assert done.code == 0, done.err
    kept = stored(data)
    assert done.document["calibration"] == kept.calibration_id
    assert done.document["parameters"] == kept.parameters
    assert done.document["shares"] == ShareModel.of(kept.parameters).id
    assert kept.figures["queries"] == 80
    assert kept.figures["no_source"] == 0.5
    assert kept.figures["log_score"] < kept.figures["constant_log_score"]


def test_labelled_queries_are_fitted_instead_and_told_in_words(
    attribution, data, gallery, tmp_path
):
    rows = []
    for number in range(24):
        name = f"{number:03d}.jpg"
        shutil.copy(gallery / "p" / name, tmp_path / name)
        rows.append({"query": name, "sources": [{"image": name}]})
    manifest = tmp_path / "labels.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = attribution("calibrate", "--data", data, "--manifest", manifest)
    assert done.code == 0, done.err
    assert "log score (0 is perfect)" in done.out
    assert "The share of the first source is off by" in done.out
    assert "a running service uses it" in done.out
    assert stored(data).figures["queries"] == 48


def test_too_few_sources_store_nothing(attribution, held):
    done = attribution("calibrate", "--data", held)
    assert done.code == 1
    assert "at least 20 different sources, and 12 could be read: ingest more" in done.err
    assert done.err.count("\n") == 1
    assert stored(held) is None

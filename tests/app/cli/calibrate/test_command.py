"""`attribution calibrate`: a fit from the sources held, stored where a service takes it up."""

import json
import shutil
from functools import partial
from importlib.util import find_spec

import pytest

from attribution.calibration.shares.model import KIND, ShareModel
from attribution.calibration.shares.recall import Recall
from attribution.catalog import Catalog
from attribution.rehearsal.queries import make_query
from models.background import read_background
from tests.support.tiny_diffusion import SIDE, write_checkpoint

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture(scope="module")
def gallery(attribution, draw_pictures, small_encoder, tmp_path_factory):
    """Data folder with 24 pictures; copy it to write."""
    folder = tmp_path_factory.mktemp("calibrate")
    pictures = draw_pictures(folder / "p", range(24))
    done = attribution("ingest", pictures, "--data", folder / "data", "--encoder", small_encoder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def data(gallery, tmp_path):
    return shutil.copytree(gallery / "data", tmp_path / "data")


@pytest.fixture(autouse=True)
def _small_queries(monkeypatch):
    """Synthetic images of 24 pixels instead of 128 and more: a thirtieth of the time."""
    small = partial(make_query, size=24)
    monkeypatch.setattr("attribution.rehearsal.rehearsal.make_query", small)
    monkeypatch.setattr("attribution.synthesis.background.GENERATED_SIDE", 24)


def stored(data):
    with Catalog.open(data) as catalog:
        [model_id] = catalog.models()
        return catalog.calibrations.newest(model_id, KIND)


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
    recall = Recall.of(kept.figures["recall"])
    assert 0.5 <= recall.largest <= 0.97  # of forty queries no more than 40 / 41 can be promised
    assert recall.kinds.endswith("compressed, 40 of them")


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
    assert "`--recall` up to 0.96 lists as few sources" in done.out.replace("\n", " ")
    asked = ("query", gallery / "p" / "000.jpg", "--data", data, "--json", "--recall")
    answer = attribution(*asked, 0.9).document
    assert answer["recall"] == {
        "rate": 0.9,
        "kinds": "labelled queries of labels.jsonl, 24 of them",
    }
    assert len(answer["sources"]) == 1
    refused = attribution(*asked, 0.98)
    assert refused.code == 1
    assert "a recall of 0.98 cannot be promised" in refused.err.replace("\n", " ")


@pytest.mark.skipif(
    not all(map(find_spec, ("diffusers", "peft", "transformers"))),
    reason="the extra `generation` is not installed",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_images_of_a_tuned_model_are_fitted_to_and_not_made_again(
    attribution, data, tmp_path, monkeypatch
):
    monkeypatch.setattr("attribution.synthesis.diffusion.painter.STEPS", 2)
    model = write_checkpoint(tmp_path / "tiny")
    command = (
        *("calibrate", "--data", data, "--generator", "diffusion", "--model", model, "--json"),
        *("--made", tmp_path / "made", "--size", SIDE, "--epochs", 1, "--queries", 40),
    )
    done = attribution(*command)
    assert done.code == 0, done.err
    assert "steps: about" in done.err
    figures = stored(data).figures
    rows = (tmp_path / "made" / "manifest.jsonl").read_text().splitlines()
    assert figures["queries"] == 2 * len(rows)
    assert len({json.loads(row)["sources"][0]["source_id"] for row in rows}) == len(rows) >= 20
    assert Recall.of(figures["recall"]).kinds.startswith("images by a text-to-image model")
    before = min((tmp_path / "made" / "queries").iterdir()).stat().st_mtime_ns
    assert attribution(*command).document["parameters"] == done.document["parameters"]
    assert min((tmp_path / "made" / "queries").iterdir()).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "needs --model and --made"),
        (("--model", "x", "--made", "made", "--size", 100), "multiple of 8"),
        (("--model", "x", "--made", "made", "--seed", 2**39), "--seed: "),
        (("--manifest", "labels.jsonl"), "either --manifest or --generator diffusion"),
    ],
)
def test_what_a_text_to_image_model_lacks_is_said_before_it_begins(
    attribution, held, options, message
):
    done = attribution("calibrate", "--data", held, "--generator", "diffusion", *options)
    assert done.code == 2
    assert message in done.err.replace("\n", " ")


def test_what_only_a_text_to_image_model_has_is_refused_without_one(attribution, held):
    done = attribution("calibrate", "--data", held, "--model", "x", "--epochs", 400)
    assert (done.code, "no --model and no --epochs: leave that out" in done.err) == (2, True)


def test_too_few_sources_store_nothing(attribution, held):
    done = attribution("calibrate", "--data", held)
    assert done.code == 1
    assert "at least 20 different sources, and 12 could be read: ingest more" in done.err
    assert done.err.count("\n") == 1
    assert stored(held) is None


def test_a_background_is_added_and_serves_from_then_on(attribution, data, draw_pictures, tmp_path):
    folder = draw_pictures(tmp_path / "unrelated", range(100, 120))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    asked = ("query", tmp_path / "unrelated" / "100.jpg", "--data", data, "--json")
    before = attribution(*asked).document["calibration"]["id"]
    done = attribution("calibrate", "--data", data, "--queries", 40, "--background", folder)
    assert done.code == 1, "one could not be read, which is told and does not stop the others"
    told = done.err.replace("\n", " ")
    assert "left out broken.jpg: " in told
    assert "1 image was left out: the background was extended without" in told
    assert "background rows of 20 images added" in done.out.replace("\n", " ")
    [kept] = (data / "background").iterdir()
    assert len(read_background(kept)) >= 40
    assert attribution(*asked).document["calibration"]["id"] != before


def test_a_background_of_nothing_is_refused(
    attribution, data, draw_pictures, tmp_path, monkeypatch
):
    few = draw_pictures(tmp_path / "few", range(3))
    done = attribution("calibrate", "--data", data, "--background", few)
    assert done.code == 2
    assert "3 images are too few" in done.err.replace("\n", " ")
    done = attribution("calibrate", "--data", data, "--background", tmp_path / "gone")
    assert "no such folder" in done.err.replace("\n", " ")
    one = draw_pictures(tmp_path / "one", range(1))
    for number in range(25):
        (one / f"again-{number}.jpg").write_bytes((one / "000.jpg").read_bytes())
        (one / f"broken-{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    monkeypatch.setattr("attribution.synthesis.background.GENERATED_SIDE", 24)
    done = attribution("calibrate", "--data", data, "--background", one)
    assert done.code == 2
    assert "1 different images that can be read are too few" in done.err.replace("\n", " ")
    assert not (data / "background").exists()

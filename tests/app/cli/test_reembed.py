"""reembed as people run it: fill, look, activate, go back, drop, and what is refused."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from attribution.catalog import Catalog
from models import load_encoder
from tests.support.encoders import make_encoder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    for number, name in enumerate(("old", "new"), start=1):
        make_encoder(folder / name, number)
    make_encoder(folder / "blind", 3, background=0)
    return folder


@pytest.fixture
def data(attribution, draw_pictures, encoders, tmp_path, monkeypatch) -> Path:
    """A catalog of eight pictures, whose service has the encoder `old`."""
    monkeypatch.setenv("ATTRIBUTION_ENCODER", str(encoders / "old"))
    monkeypatch.setenv("ATTRIBUTION_DATA", str(tmp_path / "data"))
    pictures = draw_pictures(tmp_path / "pictures", range(8))
    done = attribution("ingest", pictures)
    assert done.code == 0, done.err
    return tmp_path / "data"


def model_id(folder: Path) -> str:
    return load_encoder(str(folder)).model_id


def test_there_and_back_and_forgotten(attribution, data, encoders, caplog):
    old, new = model_id(encoders / "old"), model_id(encoders / "new")
    filled = attribution("reembed", encoders / "new", "--json")
    assert filled.code == 0, filled.err
    assert filled.document == {
        "model_id": new, "embedded": 8, "lacking": [], "coverage": "8 of 8", "active": old
    }  # fmt: skip
    again = attribution("reembed", encoders / "new", "--json").document
    assert again["embedded"] == 0, "nothing twice"
    assert attribution("index", "--json").document["model_id"] == old

    assert attribution("reembed", new, "--activate", "--json").document["active"] == new
    index = attribution("index", "--json")
    assert (index.document["model_id"], index.document["vectors"]) == (new, 8)
    assert "is used, not" in caplog.text, "ATTRIBUTION_ENCODER still names the old one"
    asked = attribution("query", "--json", data.parent / "pictures" / "003.jpg").document
    assert (asked["model_id"], asked["sources"][0]["rank"]) == (new, 1)
    chosen = attribution("index", "--encoder", encoders / "old", "--json").document
    assert chosen["model_id"] == old, "an option comes first"

    rows = {row["model_id"]: row for row in attribution("reembed", "--json").document}
    assert [rows[new]["active"], rows[new]["previous"]] == [True, False]
    assert [rows[old]["active"], rows[old]["previous"]] == [False, True]
    assert rows[old]["name"] == str(encoders / "old")
    assert "8 of 8" in attribution("reembed").out

    assert attribution("reembed", "--back", "--json").document["active"] == old
    assert attribution("reembed", "--back", "--json").document["active"] == new
    refused = attribution("reembed", "--drop", new)
    assert (refused.code, "activate another" in refused.err) == (1, True)
    dropped = attribution("reembed", "--drop", old, "--json").document
    assert dropped == {"model_id": old, "dropped": 8}
    assert attribution("reembed", "--back").code == 2


def test_what_serves_is_not_dropped_where_none_was_ever_activated(attribution, data, encoders):
    serves = model_id(encoders / "old")
    refused = attribution("reembed", "--drop", serves)
    assert (refused.code, "activate another" in refused.err) == (1, True)
    assert attribution("index", "--json").document["vectors"] == 8
    assert attribution("reembed", "--drop", "0" * 16).code == 1  # no such encoder


def test_what_is_ingested_meanwhile_gets_both(attribution, data, encoders, draw_pictures):
    attribution("reembed", encoders / "new")
    more = draw_pictures(data.parent / "more", range(20, 23))
    assert attribution("ingest", more, "--json").document["added"] == 3
    with Catalog.open(data) as catalog:
        assert [coverage.embedded for coverage in catalog.encoders.every()] == [11, 11]
    attribution("reembed", encoders / "new", "--activate")
    more = draw_pictures(data.parent / "yet more", range(30, 32))
    assert attribution("ingest", more, "--encoder", encoders / "old").code == 0
    with Catalog.open(data) as catalog:
        assert [coverage.embedded for coverage in catalog.encoders.every()] == [13, 13]


def test_below_full_coverage_activation_is_refused_and_says_why(attribution, data, encoders):
    next((data / "previews").glob("*/*.jpg")).unlink()
    done = attribution("reembed", encoders / "new", "--activate")
    assert done.code == 1
    assert "7 of 8 sources" in done.err
    assert "attribution verify" in done.err
    assert "Traceback" not in done.err
    assert attribution("index", "--json").document["model_id"] == model_id(encoders / "old")
    filled = attribution("reembed", encoders / "new", "--json")
    assert (filled.code, len(filled.document["lacking"])) == (1, 1)


def test_an_encoder_that_cannot_be_had_is_one_line(attribution, data, encoders, tmp_path):
    shutil.copytree(encoders / "new", tmp_path / "moving")
    attribution("reembed", tmp_path / "moving", "--activate")
    (tmp_path / "moving").rename(tmp_path / "moved")
    with Catalog.open(data) as catalog:
        active = catalog.encoders.registry().active
    for command in (["query", data.parent / "pictures" / "000.jpg"], ["serve", "--port", "0"]):
        done = attribution(*command)
        assert done.code == 1, command
        assert "Traceback" not in done.err
    assert attribution("reembed", tmp_path / "moved", "--json").document["active"] == active
    assert attribution("index", "--json").document["model_id"] == active


@pytest.mark.parametrize("activated", [False, True])
def test_after_a_release_with_another_encoder_of_the_name_it_is_told_and_mended(
    attribution, data, encoders, tmp_path, monkeypatch, caplog, activated
):
    """What a catalog was embedded with is here no more: the name now stands for another."""
    named = tmp_path / "named"
    shutil.copytree(encoders / "new", named)
    monkeypatch.setenv("ATTRIBUTION_ENCODER", str(named))
    assert attribution("ingest", data.parent / "pictures").code == 0
    if activated:
        assert attribution("reembed", named, "--activate").code == 0
    former, now = model_id(named), model_id(encoders / "blind")
    shutil.rmtree(named)
    shutil.copytree(encoders / "blind", named)

    asked = attribution("query", data.parent / "pictures" / "003.jpg")
    assert "0 sources can be found" in asked.err
    assert f"none of the 8 sources held has an embedding of encoder {named}" in caplog.text
    assert former in caplog.text
    assert f"attribution reembed {named} --activate" in caplog.text

    mended = attribution("reembed", named, "--activate", "--json").document
    assert (mended["coverage"], mended["active"]) == ("8 of 8", now)
    caplog.clear()
    asked = attribution("query", "--json", data.parent / "pictures" / "003.jpg").document
    assert asked["model_id"] == now
    assert Path(asked["sources"][0]["uri"]).name == "003.jpg"
    assert "none of the" not in caplog.text


def test_the_settings_must_name_what_serves(attribution, data, encoders, monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_ENCODER", str(encoders / "blind"))
    done = attribution("reembed", encoders / "new")
    assert done.code == 1
    assert "set ATTRIBUTION_ENCODER" in done.err


def test_an_encoder_without_background_comes_with_a_warning(attribution, data, encoders):
    done = attribution("reembed", encoders / "blind", "--activate")
    assert done.code == 0
    assert "decide nothing" in done.err


@pytest.mark.parametrize(
    "arguments", [["--activate"], ["new", "--back"], ["--back", "--drop", "x"]]
)
def test_what_is_not_clear_is_not_begun(attribution, data, arguments):
    assert attribution("reembed", *arguments).code == 2


def test_killed_while_filling_it_goes_on_where_it_was(launch, attribution, data, encoders):
    draw = data.parent / "pictures"
    before = attribution("ingest", draw, "--json").document["unchanged"]
    process = launch(
        "reembed", encoders / "new", "--batch", 1,
        ATTRIBUTION_DATA=str(data), ATTRIBUTION_ENCODER=str(encoders / "old"),
    )  # fmt: skip
    new, done = model_id(encoders / "new"), 0
    with Catalog.open(data) as catalog:
        deadline = time.monotonic() + 240
        while not done:
            assert time.monotonic() < deadline
            done = catalog.encoders.coverage(new).embedded
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done = catalog.encoders.coverage(new).embedded
    finished = attribution("reembed", encoders / "new", "--json").document
    assert finished["embedded"] == before - done
    assert finished["coverage"] == "8 of 8"
    assert json.loads(attribution("verify", "--json").out)["sound"]

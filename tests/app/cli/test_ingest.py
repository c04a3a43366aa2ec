"""`attribution ingest`: folders and manifests, and a run that is killed."""

import json
import os
import sys
import time

import pytest

from app.cli.main import main
from attribution.catalog import Catalog, SourceFilter
from models.encoder import Encoder
from tests.support.forks import Fork
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


def sources(data):
    with Catalog.open(data) as catalog:
        return catalog.sources(SourceFilter(), limit=100).items


def test_a_folder_is_ingested_and_what_is_broken_is_reported(attribution, pictures, tmp_path):
    data = tmp_path / "data"
    done = attribution("ingest", pictures, "--data", data)
    assert done.code == 1
    assert [line.split() for line in done.out.splitlines()] == [
        ["added", "6"],
        ["unchanged", "0"],
        ["updated", "0"],
        ["skipped", "1"],
        ["generation", "6"],
    ]
    [line] = done.err.splitlines()
    assert line.startswith(f"skipped {pictures / 'broken.jpg'}: ")
    assert len(sources(data)) == 6

    again = attribution("ingest", pictures, "--data", data, "--json")
    assert again.code == 1
    report = again.document
    assert (report["added"], report["unchanged"], report["generation"]) == (0, 6, 6)
    assert [skipped["path"] for skipped in report["skipped"]] == [str(pictures / "broken.jpg")]
    assert not again.err
    assert len(sources(data)) == 6


def test_a_manifest_names_sources_and_later_renames_them(attribution, pictures, tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    row = {"path": "pictures/000.jpg", "title": "Nought", "licence": "CC0-1.0", "uri": "pic:0"}
    manifest.write_text(json.dumps(row) + "\n")
    arguments = ("ingest", manifest, "--data", tmp_path / "data", "--json", "-c", "press")
    assert attribution(*arguments).document["added"] == 1
    manifest.write_text(json.dumps(row | {"title": "Zero"}) + "\n")
    done = attribution(*arguments)
    assert done.code == 0
    assert (done.document["added"], done.document["updated"]) == (0, 1)
    [source] = sources(tmp_path / "data")
    assert (source.title, source.uri, source.collection) == ("Zero", "pic:0", "press")


def test_a_line_that_is_no_json_is_skipped_and_named(attribution, pictures, tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"path": "pictures/001.jpg"}\nnot json\n')
    done = attribution("ingest", manifest, "--data", tmp_path / "data", "--json")
    assert done.code == 1
    assert done.document["added"] == 1
    assert len(done.document["skipped"]) == 1


@pytest.mark.parametrize("name", ["missing", "missing.jsonl", "pictures/000.jpg"])
def test_nothing_to_read_is_said_before_an_encoder_is_loaded(
    attribution, monkeypatch, pictures, tmp_path, name
):
    monkeypatch.setattr("app.cli.ingest.load_encoder", pytest.fail)
    done = attribution("ingest", tmp_path / name, "--data", tmp_path / "data")
    assert done.code == 1
    assert str(tmp_path / name) in done.err
    assert not done.out


def ingest_half(folder, data):
    encode, given = Encoder.encode, []

    def held(self, images, **options):
        given.extend(images)
        if len(given) > 20:
            time.sleep(3600)  # it is to be killed half-way
        return encode(self, images, **options)

    Encoder.encode = held
    sys.argv = ["attribution", "ingest", str(folder), "--data", str(data), "--batch", "1"]
    main()


def test_killed_and_run_again_each_acknowledged_source_is_there_once(
    attribution, draw_pictures, tmp_path
):
    data = tmp_path / "data"
    folder = draw_pictures(tmp_path / "pictures", range(40))
    process = Fork(ingest_half, folder, data, ATTRIBUTION_ENCODER=os.environ["ATTRIBUTION_ENCODER"])
    with Catalog.open(data) as catalog, process:

        def begun():
            assert process.poll() is None
            return catalog.generation() >= 3

        try:
            wait_for(begun)
        finally:
            process.kill()
    acknowledged = {source.source_id: source.sha256 for source in sources(data)}
    assert 3 <= len(acknowledged) < 40, "it was to be killed half-way"

    done = attribution("ingest", folder, "--data", data, "--json")
    assert done.code == 0
    assert done.document["added"] == 40 - len(acknowledged)
    present = sources(data)
    assert len(present) == len({source.sha256 for source in present}) == 40
    assert acknowledged.items() <= {item.source_id: item.sha256 for item in present}.items()

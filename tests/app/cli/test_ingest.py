"""`attribution ingest`: folders and manifests, and a run that is killed."""

import json
import os
import sys
import tarfile
import time
from pathlib import Path

import pytest

from app.cli.main import main
from attribution.catalog import Catalog, SourceFilter
from models.encoder import Encoder
from tests.support.forks import Fork
from tests.support.pictures import draw, jpeg, picture
from tests.support.rights import iptc, listed, saying, xmp
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


def test_a_spreadsheet_of_five_columns_names_sources(attribution, pictures, tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(
        "Dateiname;Titel;Fotograf;Lizenz;Jahr\r\npictures/000.jpg;Größe;Zoë;CC0-1.0;1999\r\n".encode(
            "cp1252"
        )
    )
    data = tmp_path / "data"
    done = attribution("ingest", sheet, "--data", data)
    assert done.code == 0, done.err
    assert f"{sheet} is read as Windows-1252, separated by semicolons" in done.err
    [source] = sources(data)
    assert (source.title, source.creator, source.licence) == ("Größe", "Zoë", "CC0-1.0")
    assert source.metadata == {"Jahr": "1999"}
    sheet.write_text("path,title\npictures/001.jpg,fine\npictures/002.jpg,not, fine\n")
    refused = attribution("ingest", sheet, "--data", data)
    assert refused.code == 1
    assert f"{sheet}, line 3: it has 3 cells" in refused.err
    assert len(sources(data)) == 1


def test_photographs_say_who_made_them_where_their_manifest_does_not(attribution, tmp_path):
    folder, data = tmp_path / "photographs", tmp_path / "data"
    folder.mkdir()
    packet = xmp(listed("dc:creator", "Seq", ["<rdf:li>By XMP</rdf:li>"]))
    (folder / "a.jpg").write_bytes(saying(1, packet=packet))
    (folder / "b.jpg").write_bytes(saying(2, block=iptc((2, 80, b"By IPTC"), (2, 116, b"(c) B"))))
    (folder / "metadata.csv").write_text("file,title\nb.jpg,Stated\n")
    assert attribution("ingest", folder, "--data", data, "--no-embedded").code == 0
    assert [source.creator for source in sources(data)] == [None, None]
    done = attribution("ingest", folder, "--data", data, "--json")
    assert done.document["embedded"] == done.document["updated"] == 2
    first, second = sources(data)
    assert (first.creator, second.creator, second.title) == ("By XMP", "By IPTC", "Stated")
    assert second.metadata == {"embedded": {"copyright": "(c) B"}}
    (folder / "metadata.csv").write_text("file,creator,note\nb.jpg,Of the sheet,n\n")
    assert attribution("ingest", folder, "--data", data, "--json").document["updated"] == 1
    assert attribution("ingest", folder, "--data", data, "--json").document["updated"] == 0
    [_, second] = sources(data)
    assert second.creator == "Of the sheet"
    assert second.metadata == {"note": "n", "embedded": {"copyright": "(c) B"}}


@pytest.mark.parametrize("name", ["missing", "missing.jsonl", "pictures/000.jpg"])
def test_nothing_to_read_is_said_before_an_encoder_is_loaded(
    attribution, monkeypatch, pictures, tmp_path, name
):
    monkeypatch.setattr("attribution.opening.load.load_by_engine", pytest.fail)
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


def test_a_replaced_file_is_told_and_taken_out_when_asked(attribution, tmp_path):
    folder, data = draw(tmp_path / "pictures", range(3)), tmp_path / "data"
    assert attribution("ingest", folder, "--data", data).code == 0
    picture(50).save(folder / "001.jpg")
    told = attribution("ingest", folder, "--data", data)
    assert told.code == 0
    assert f"{folder / '001.jpg'} holds another picture now" in told.err
    assert "--update takes it out" in told.err
    assert "was taken out" in attribution("ingest", folder, "--update", "--data", data).err
    again = attribution("ingest", folder, "--update", "--json", "--data", data).document
    assert (again["unchanged"], again["replaced"]) == (3, [])


def test_what_is_gone_is_listed(attribution, tmp_path):
    folder, data = draw(tmp_path / "pictures", range(3)), tmp_path / "data"
    assert attribution("ingest", folder, "--data", data).code == 0
    (folder / "002.jpg").unlink()
    (folder / "001.jpg").rename(folder / "dusk.jpg")
    assert "missing" not in attribution("ingest", folder, "--data", data).out
    told = attribution("ingest", folder, "--missing", "--data", data)
    assert told.code == 0
    assert f"missing {folder / '002.jpg'}" in told.err
    assert f"its picture is {folder / 'dusk.jpg'}" in told.err
    document = attribution("ingest", folder, "--missing", "--data", data, "--json").document
    now = [each["now"] for each in document["missing"]]
    assert now == [str(folder / "dusk.jpg"), None]
    assert "elsewhere" not in document


def test_a_renamed_file_is_told_and_its_source_is_renamed_when_asked(attribution, tmp_path):
    folder, data = draw(tmp_path / "pictures", range(3)), tmp_path / "data"
    assert attribution("ingest", folder, "--data", data).code == 0
    (folder / "001.jpg").rename(folder / "old.jpg")
    picture(50).save(folder / "001.jpg")
    told = attribution("ingest", folder, "--data", data)
    assert f"{folder / 'old.jpg'} was renamed" in told.err
    assert "--update gives it this one" in told.err
    assert "is called so now" in attribution("ingest", folder, "--update", "--data", data).err
    again = attribution("ingest", folder, "--update", "--json", "--data", data).document
    assert (again["unchanged"], again["renamed"], again["replaced"]) == (4, [], [])


def test_a_name_that_is_not_utf_8_is_held_under_its_bytes(attribution, tmp_path):
    folder, data = draw(tmp_path / "pictures", []), tmp_path / "data"
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).write_bytes(jpeg(picture(1)))
    for added in (1, 0):
        report = attribution("ingest", folder, "--json", "--data", data).document
        assert (report["added"], report["skipped"]) == (added, [])
    with Catalog.existing(data) as catalog:
        [source] = catalog.sources().items
    assert source.uri == f"{folder}/caf\\xe9.jpg"


@pytest.mark.parametrize(
    "content",
    [
        b'[{"path": "a.jpg"}]',
        b'{\n "path": "a.jpg"\n}',
        b'{"images": [{"path": "a.jpg"}], "annotations": []}',
        bytes(9_999_999),
        b"%PDF-1.7\n\xff\n" * 999,
        b"line\n" * 99_999,
    ],
)
def test_what_is_no_manifest_is_refused_in_a_line(attribution, tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    done = attribution("ingest", tmp_path / "file", "--data", tmp_path / "data")
    assert done.code == 1
    assert "is no JSON Lines manifest" in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_files_that_are_no_pictures_are_counted(attribution, tmp_path):
    folder, data = draw(tmp_path / "pictures", range(2)), tmp_path / "data"
    for name in ("a.txt", "b.txt", "film.mp4"):
        (folder / name).write_text("no picture")
    done = attribution("ingest", folder, "--data", data)
    assert done.code == 0
    assert "3 other files are no pictures: .txt 2, .mp4 1" in done.err
    (tmp_path / "empty").mkdir()
    assert "no images to add" in attribution("ingest", tmp_path / "empty", "--data", data).err


def test_a_tar_file_and_an_address_are_read_like_a_folder(attribution, tmp_path):
    folder = draw(tmp_path / "photographs", range(2))
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(folder / "000.jpg", "000.jpg")
    (tmp_path / "all.txt").write_text("Nought")
    with tarfile.open(tmp_path / "all.tar", "a") as archive:
        archive.add(tmp_path / "all.txt", "000.txt")
    arguments = ("--data", tmp_path / "data", "--json")
    done = attribution("ingest", tmp_path / "all.tar", *arguments)
    assert (done.code, done.document["added"]) == (0, 1)
    done = attribution("ingest", f"file://{folder}", *arguments)
    assert (done.code, done.document["added"], done.document["unchanged"]) == (0, 1, 1)
    assert [(source.uri, source.title) for source in sources(tmp_path / "data")] == [
        (f"tar://000.jpg::{tmp_path / 'all.tar'}", "Nought"),
        (f"file://{folder / '001.jpg'}", None),
    ]
    done = attribution("ingest", folder, "--data", tmp_path / "data", "--missing")
    assert done.code == 0
    assert "missing" not in done.err
    (tmp_path / "all.tar").write_bytes(b"no tar file")
    done = attribution("ingest", tmp_path / "all.tar", "--data", tmp_path / "data")
    assert done.code == 1
    [line] = done.err.splitlines()
    assert "is no tar file, or damaged" in line
    assert "was read" not in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "2"), "give --engine ray as well"),
        (("--engine", "ray", "--missing"), "--missing compares a folder"),
        (("--table", "a.csv"), "of a folder on this machine"),
    ],
)
def test_options_that_do_not_go_together_are_refused(attribution, tmp_path, options, message):
    done = attribution("ingest", f"file://{tmp_path}", *options, "--data", tmp_path / "data")
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "data").exists()


def test_without_ray_it_says_what_to_install(attribution, pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = attribution("ingest", pictures, "--engine", "ray", "--data", tmp_path / "data")
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith(
        "needs the extra `ray`: pip install 'attribution[ray]'"
    )

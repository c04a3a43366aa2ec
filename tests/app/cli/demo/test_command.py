"""`attribution demo --exit`, once and in full: what a newcomer sees first must be right."""

import json

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def demo(launch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    process = launch("demo", "--exit", "--out", folder, "--port", "0")
    out, err = process.communicate(timeout=600)
    return folder, process.returncode, out, err


def test_every_answer_is_right(demo):
    _, code, out, err = demo
    assert code == 0, out + err
    assert "13 of 13 answers are right" in out
    assert "rocket (not held)" in out


def test_it_ends_without_noise(demo):
    _, _, out, err = demo
    assert "Traceback" not in out + err
    assert not err, "progress belongs on terminals, and warnings nowhere"


def test_it_leaves_a_contact_sheet_of_every_query(demo):
    folder, *_ = demo
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.format == "PNG"
        sheet.load()
        assert sheet.height > 13 * 132
        assert len(sheet.getcolors(sheet.width * sheet.height) or ()) > 1000


def test_it_leaves_queries_and_a_catalog_to_go_on_with(demo, attribution):
    folder, *_ = demo
    assert len(list((folder / "synthetic-0").glob("*.png"))) == 13
    manifest = (folder / "photographs" / "manifest.jsonl").read_text().splitlines()
    titles = {json.loads(row)["title"] for row in manifest}
    assert len(titles) == 20
    assert "rocket" not in titles
    done = attribution(
        *("query", folder / "synthetic-0" / "chelsea.png", "--json", "--data", folder / "data")
    )
    assert done.document["sources"][0]["title"] == "chelsea"

"""`attribution explain`: a picture for people, figures for machines."""

import pytest
from PIL import Image

from attribution.catalog import Catalog

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture
def explain(attribution, held, tmp_path):
    def ask(seed, *arguments):
        return attribution(
            "explain", held.parent / f"{seed:03d}.jpg", "--data", held,
            "--out", tmp_path / "where.png", *arguments,
        )  # fmt: skip

    return ask


def test_the_picture_shows_the_source_and_its_area(explain, tmp_path):
    done = explain(1)
    assert done.code == 0, done.err
    assert "001.jpg: attributed (p = " in done.out
    assert "[/b] :cat: [red]loud" in done.out  # a title is text, not markup
    assert "no source" in done.out
    with Image.open(tmp_path / "where.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        colours = picture.convert("RGB").getcolors(2**24)
    assert len(colours) > 1000


def test_json_has_the_regions(explain, tmp_path, held):
    done = explain(2, "--json")
    assert done.code == 0, done.err
    document = done.document
    assert document["picture"] == str(tmp_path / "where.png")
    assert document["decision"] == "attributed"
    first = document["regions"][0]
    assert first["rank"] == 1
    assert first["source_id"] == document["explained"][0]
    assert first["fraction"] > 0.5
    areas = sum(region["fraction"] for region in document["regions"])
    assert areas + document["none_fraction"] == pytest.approx(1)


def test_an_empty_catalog_still_has_a_picture(attribution, held, tmp_path):
    Catalog.open(tmp_path / "empty").close()
    done = attribution(
        "explain", held.parent / "000.jpg", "--data", tmp_path / "empty",
        "--out", tmp_path / "where.png", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "where.png").is_file()
    assert done.document["regions"] == []
    assert done.document["none_fraction"] == 1


def test_where_nothing_can_be_written_is_said_before_the_work(attribution, held, tmp_path):
    image = held.parent / "000.jpg"
    for target, says in (
        (tmp_path / "gone" / "where.png", "there is no folder"),
        (tmp_path / "where.xyz", "its name ends in .png"),
        (tmp_path, "is a folder"),
    ):
        done = attribution("explain", image, "--data", held, "--out", target)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert says in done.err


def test_what_is_no_image_is_one_line_and_writes_nothing(attribution, held, pictures, tmp_path):
    target = tmp_path / "where.png"
    for path in (pictures / "broken.jpg", pictures / "absent.jpg"):
        done = attribution("explain", path, "--data", held, "--out", target)
        assert done.code == 1
        assert done.err.count("\n") == 1
    assert not target.exists()

"""Images of a benchmark are opened as queries of the service are."""

import pytest
from PIL import Image

from attribution.evaluation.benchmark.cases import BadBenchmark, Case, file_picture


def query(path):
    return Case(path, (), "set").picture.load()


def test_an_image_is_upright_and_rgb(tmp_path):
    image = Image.new("L", (30, 20), 128)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    found = query(tmp_path / "turned.jpg")
    assert (found.mode, found.size) == ("RGB", (20, 30))
    assert file_picture("key", tmp_path / "turned.jpg").load().size == (20, 30)


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(BadBenchmark, match=r"gone\.jpg: no such image"):
        query(tmp_path / "gone.jpg")
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(BadBenchmark, match=r"text\.jpg: "):
        query(tmp_path / "text.jpg")

"""Pictures for an explanation: previews that are still there, and the query both ways round."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attribution.catalog import Catalog, NewSource
from attribution.explanation import read_previews, views_of_query
from models.images.previews import make_preview
from tests.support.answers import ranked


@pytest.fixture
def catalog(tmp_path):
    """Its previews lie in `tmp_path / "previews"`."""
    with Catalog.open(tmp_path) as opened:
        yield opened


def add(catalog, colour):
    image = Image.new("RGB", (40, 30), colour)
    row = np.ones(4, np.float32) / 2
    new = NewSource(
        collection="default", sha256=f"{sum(colour):064x}", width=40, height=30, format="png",
        embedding=row, preview=make_preview(image),
    )  # fmt: skip
    return catalog.add("model", [new]).items[0].source


def test_deleted_sources_and_lost_previews_are_left_out(catalog, tmp_path, caplog):
    held = [add(catalog, (value, 0, 0)) for value in (50, 120, 200)]
    wanted = [replace(ranked(rank), source=each) for rank, each in enumerate(held, 1)]
    assert [each.ranked.rank for each in read_previews(catalog, wanted)] == [1, 2, 3]
    catalog.delete(source_ids=[held[0].source_id])
    with caplog.at_level(logging.WARNING):
        left = read_previews(catalog, wanted)
        assert [each.ranked.rank for each in left] == [2, 3]
        assert left[0].image.getpixel((5, 5))[0] == pytest.approx(120, abs=6)
        assert not caplog.records
        for file in (tmp_path / "previews").rglob("*.jpg"):
            file.unlink()
        assert read_previews(catalog, wanted) == ()
    assert len(caplog.records) == 2


def test_a_large_query_is_reduced_before_it_is_mirrored():
    ramp = np.tile(np.linspace(0, 255, 3000).astype(np.uint8)[None, :, None], (900, 1, 3))
    upright, mirrored = views_of_query(Image.fromarray(ramp))
    assert upright.size == mirrored.size == (512, 154)
    assert np.array_equal(np.asarray(mirrored), np.asarray(upright)[:, ::-1])
    small = Image.new("RGB", (20, 10))
    assert views_of_query(small)[0].size == (20, 10)

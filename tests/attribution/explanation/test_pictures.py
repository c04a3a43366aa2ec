"""Maps as PNGs: the palette entry is the value, and the colours can be laid over a picture."""

import io

import numpy as np
import pytest
from PIL import Image

from attribution.explanation.pictures import (
    REGION_COLOURS,
    REGION_OPACITY,
    heat_picture,
    overlaid,
    png,
    region_colour,
    region_picture,
)


def opened(data):
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
    return image


@pytest.mark.parametrize("largest", [0.0, 0.4, 1.0])
def test_a_heat_map_comes_back_from_its_file(largest):
    values = np.random.default_rng(0).random((16, 12)).astype(np.float32) * largest
    data = png(heat_picture(values))
    assert len(data) < 4096
    read = opened(data)
    assert (read.mode, read.size) == ("P", (12, 16))
    numbers = np.asarray(read)
    np.testing.assert_allclose(numbers / 255, values, atol=0.5 / 255 + 1e-6)
    assert np.array_equal(np.asarray(read.convert("RGBA"))[..., 3], numbers)


def test_a_region_map_comes_back_from_its_file():
    ranks = np.array([[0, 1, 2], [10, 100, 0]], np.uint8)
    read = opened(png(region_picture(ranks)))
    assert np.array_equal(np.asarray(read), ranks)
    seen = np.asarray(read.convert("RGBA"))
    assert seen[0, 0, 3] == 0
    assert tuple(seen[0, 2]) == (*region_colour(2), REGION_OPACITY)
    assert len({region_colour(rank) for rank in range(1, 11)}) == len(REGION_COLOURS) == 10


def test_an_overlay_leaves_what_does_not_match_as_it_was():
    image = Image.new("RGB", (80, 40), (10, 200, 30))
    values = np.zeros((4, 4), np.float32)
    values[:, :2] = 1
    ranks = values.astype(np.uint8)
    for picture, smooth in ((heat_picture(values), True), (region_picture(ranks), False)):
        over = np.asarray(overlaid(image, picture, smooth=smooth))
        assert over.shape == (40, 80, 3)
        assert (over[:, 60:] == (10, 200, 30)).all()
        assert (over[:, :20] != (10, 200, 30)).any(axis=-1).all()

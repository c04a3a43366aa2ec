"""Conditions: the same pixels for the same number, and each does what it says."""

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.benchmark.treatments import TREATMENTS, disguised, laundered
from tests.support.pictures import picture


@pytest.fixture
def image():
    return picture(0)


def pixels(image):
    return np.asarray(image, np.int16)


def distance(first, second):
    return np.abs(pixels(first) - pixels(second)).mean()


@pytest.mark.parametrize("condition", TREATMENTS)
def test_a_number_decides_every_pixel(image, condition):
    before = image.tobytes()
    for number in range(8):
        treat = TREATMENTS[condition]
        first = treat(image, np.random.default_rng(number))
        again = treat(image, np.random.default_rng(number))
        assert first.mode == "RGB"
        assert first.size == again.size
        assert first.tobytes() == again.tobytes()
    assert image.tobytes() == before


def test_clean_is_the_image_itself(image):
    assert TREATMENTS["clean"](image, np.random.default_rng(0)) is image


def test_laundering_crops_flips_and_recolours(image):
    found = laundered(image, np.random.default_rng(3))
    assert found.size == (int(96 * 0.7**0.5), int(72 * 0.7**0.5))
    distances = []
    for left in range(96 - found.width + 1):
        for top in range(72 - found.height + 1):
            crop = image.crop((left, top, left + found.width, top + found.height))
            flipped = pixels(crop)[:, ::-1]
            distances.append(
                [np.abs(pixels(found) - flipped).mean(), np.abs(pixels(found) - crop).mean()]
            )
    closest = np.min(distances, axis=0)
    assert closest[0] < 25  # some crop, flipped, but for its colours
    assert closest[0] < 0.7 * closest[1]


def test_disguises_are_five_and_all_occur(image):
    kinds = {int(np.random.default_rng(number).integers(5)) for number in range(40)}
    assert kinds == set(range(5))
    sizes = {disguised(image, np.random.default_rng(number)).size for number in range(40)}
    assert sizes == {(96, 72), (120, 90)}  # a frame adds a quarter
    found = [disguised(image, np.random.default_rng(number)) for number in range(40)]
    changed = [each.size != image.size or distance(each, image) > 1 for each in found]
    assert sum(changed) >= 38  # a rotation may be by next to nothing


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 9)])
def test_tiny_images_survive(width, height):
    tiny = Image.new("RGB", (width, height), (200, 10, 30))
    for treat in TREATMENTS.values():
        for number in range(10):
            found = treat(tiny, np.random.default_rng(number))
            assert min(found.size) >= 1


def test_the_draws_are_those_of_earlier_figures(image):
    """Query 1 gets a frame of this colour: a change of the draws is a new condition."""
    framed = pixels(disguised(image, np.random.default_rng(1)))
    assert framed.shape == (90, 120, 3)
    assert framed[0, 0].tolist() == [131, 193, 243]
    assert (framed[7 : 7 + 72, 9 : 9 + 96] == pixels(image)).all()

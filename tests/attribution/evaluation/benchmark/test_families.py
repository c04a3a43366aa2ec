"""Each way of passing a picture on does what it says; that draws repeat is in `test_treatments`."""

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.benchmark.families import (
    border,
    caption,
    crop,
    rotate,
    screenshot,
    turn,
)
from tests.support.pictures import picture

WHITE = Image.new("RGB", (200, 120), "white")
NUMBERS = range(24)


def drawn(family, image):
    return [family(image, np.random.default_rng(number)) for number in NUMBERS]


def levels(image):
    return np.asarray(image, np.int16)


def least_distance(image, within):
    """Mean difference of an image and the place of another where it is least."""
    found, wanted = levels(within), levels(image)
    return min(
        np.abs(found[top : top + image.height, left : left + image.width] - wanted).mean()
        for top in range(within.height - image.height + 1)
        for left in range(within.width - image.width + 1)
    )


def test_a_crop_is_half_of_the_picture():
    image = picture(0)
    for number in range(4):
        found = crop(image, np.random.default_rng(number))
        assert found.width * found.height == pytest.approx(96 * 72 / 2, rel=0.02)
        assert least_distance(found, image) < 12  # but for the JPEG


def test_a_border_is_black_on_two_sides_and_leaves_the_picture_whole():
    image = picture(0)
    sides = set()
    for found in drawn(border, image):
        across, down = (found.width - image.width) // 2, (found.height - image.height) // 2
        assert (across == 0) != (down == 0)
        assert 0.1 <= max(across / image.width, down / image.height) <= 0.31
        kept = found.crop((across, down, across + image.width, down + image.height))
        assert np.abs(levels(kept) - levels(image)).mean() < 12
        bar = found.crop((0, 0, across or found.width, down or found.height))
        assert levels(bar).mean() < 20
        sides.add(across == 0)
    assert sides == {True, False}


def test_a_rotated_picture_shows_no_corner_and_keeps_its_shape():
    widths = []
    for found in drawn(rotate, WHITE):
        assert levels(found).min() > 200  # black lies beyond the picture
        assert found.width / found.height == pytest.approx(200 / 120, rel=0.03)
        widths.append(found.width)
    assert max(widths) < 190
    assert min(widths) > 90


def test_a_turn_is_one_of_three():
    image = picture(0)
    ways = [image.transpose(Image.Transpose[f"ROTATE_{angle}"]) for angle in (90, 180, 270)]
    seen = set()
    for found in drawn(turn, image):
        distances = [
            np.abs(levels(found) - levels(way)).mean() if found.size == way.size else 255
            for way in ways
        ]
        assert min(distances) < 12
        seen.add(int(np.argmin(distances)))
    assert seen == {0, 1, 2}


def test_a_screenshot_holds_the_picture_whole_within_a_page():
    image = picture(0)
    for number in range(3):
        found = screenshot(image, np.random.default_rng(number))
        assert least_distance(image, found) < 12
    for found in drawn(screenshot, image):
        share = image.width * image.height / (found.width * found.height)
        assert 0.15 < share < 0.65


def test_a_caption_has_words_that_fit_and_leaves_most_of_the_picture():
    heights = set()
    for found in drawn(caption, WHITE):
        heights.add(found.height > WHITE.height)
        ink = levels(found).min(axis=2) < 100
        assert 20 < ink.sum() < 0.15 * ink.size
        assert not ink[:, :2].any()
        assert not ink[:, -2:].any()
        middle = slice(found.height // 3, 2 * found.height // 3)
        assert not ink[middle].any()
    assert heights == {True, False}

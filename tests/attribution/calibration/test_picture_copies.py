from __future__ import annotations

import numpy as np
import pytest

from attribution.calibration.picture_copies import CopyTest, are_copies, is_copy
from models.background import thumbnail
from tests.support.pictures import picture


def test_copies_are_told_by_pixels_mirrored_too():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    brighter = (picture * 0.7 + 40).astype(np.uint8)
    other = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    flat = np.full((16, 16), 7, np.uint8)
    assert is_copy(picture, brighter)
    assert is_copy(picture, brighter[:, ::-1])
    assert not is_copy(picture, other)
    assert not is_copy(flat, flat)


CHANGES = {
    "tilted": lambda image: image.rotate(2),
    "cut": lambda image: image.crop((3, 2, image.width, image.height)),
    "paler": lambda image: image.point(lambda value: 100 + value // 2),
    "in grey": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_changed_a_little_is_a_copy(change, seed):
    first = picture(seed, size=(160, 120))
    assert is_copy(thumbnail(change(first)), thumbnail(first))


def test_what_is_alike_in_light_or_in_edges_alone_is_no_copy():
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 255, 16)[None, :].repeat(16, axis=0)
    grain = rng.normal(0, 15, (16, 16))
    assert not is_copy(slope, slope + grain)
    wave = 60 * np.sin(np.linspace(0, 6, 16))[:, None].repeat(16, axis=1)
    coarse = rng.normal(0, 40, (16, 16))
    assert not is_copy(coarse + wave, coarse - wave)
    assert is_copy(coarse + wave, coarse + 1.2 * wave)


def test_pairs_are_judged_by_themselves_in_bytes_as_in_numbers():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (5, 16, 16)).astype(np.uint8)
    second = rng.integers(0, 256, (5, 16, 16)).astype(np.uint8)
    second[2] = 255 - (255 - first[2]) // 2
    second[4] = first[4, :, ::-1]
    assert are_copies(first, second).tolist() == [False, False, True, False, True]
    assert np.array_equal(
        are_copies(first.astype(np.float64), second.astype(np.float64)), are_copies(first, second)
    )


def test_a_match_that_could_not_be_had_is_looked_for_again():
    pictures = np.random.default_rng(2).integers(0, 256, (3, 16, 16)).astype(np.uint8)
    held = {}
    test, best = CopyTest(pictures, lambda _: held), np.array([7, 8, -1])
    assert not test(best).any()
    assert test.untested.tolist() == [True, True, False]
    held |= {7: pictures[0], 8: pictures[0]}
    again = CopyTest(pictures, lambda _: held)
    again.resume(best, test.found, test.untested)
    for each in (test, again):
        assert each(best).tolist() == [True, False, False]
        assert not each.untested.any()

"""Random laundering: the same for a seed, within its bounds, and not a picture left alone."""

import numpy as np
import pytest
from PIL import Image

from attribution.synthesis.laundering import launder
from tests.support.pictures import picture

ORIGINAL = picture(0, (160, 120))


def pixels(image):
    return np.asarray(image, dtype=np.int16)


def test_the_same_seed_gives_the_same_pixels_and_another_does_not():
    one, again, other = (launder(ORIGINAL, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(pixels(one), pixels(again))
    assert one.size != other.size or not np.array_equal(pixels(one), pixels(other))


def test_size_stays_within_what_crops_and_scales_allow():
    for seed in range(60):
        width, height = launder(ORIGINAL, seed=seed).size
        assert 0.6 * 0.25 - 0.02 <= width * height / (160 * 120) <= 1.5**2 + 0.02
        assert 1.0 < width / height < 1.75


def test_seeds_differ_in_every_respect():
    made = [launder(ORIGINAL, seed=seed) for seed in range(40)]
    brightness = [pixels(image).mean() for image in made]
    assert np.ptp(brightness) > 30
    assert len({image.size for image in made}) > 30
    small = [
        pixels(image.resize((16, 12), Image.Resampling.BOX).convert("L")).ravel() for image in made
    ]
    original = pixels(ORIGINAL.resize((16, 12), Image.Resampling.BOX).convert("L"))
    straight = np.array([np.corrcoef(each, original.ravel())[0, 1] for each in small])
    mirrored = np.array([np.corrcoef(each, original[:, ::-1].ravel())[0, 1] for each in small])
    assert 8 <= (mirrored > straight).sum() <= 32


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (2000, 1500)])
def test_any_picture_can_be_laundered_and_stays_as_it_was(mode, size):
    given = picture(0, size).convert(mode)
    before = given.tobytes()
    for seed in range(6):
        made = launder(given, seed=seed)
        assert made.mode == "RGB"
        assert max(made.size) <= 1536
    assert given.tobytes() == before

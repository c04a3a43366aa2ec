"""What counts as showing something: little is enough, and noise on one colour is nothing."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from models.images.content import contrast, has_nothing_to_compare
from tests.support.pictures import jpeg, picture

BLANK = [(0, 0, 0), (255, 255, 255), (51, 51, 51), (128, 128, 128), (0, 51, 51)]


def noisy(levels: int, side: int = 256) -> Image.Image:
    """Grey with uniform noise of so many levels to both sides."""
    noise = np.random.default_rng(0).integers(-levels, levels + 1, (side, side, 3))
    return Image.fromarray((128 + noise).astype(np.uint8))


def drawn(draw, *, ground="white", size=(400, 300)) -> Image.Image:
    image = Image.new("RGB", size, ground)
    draw(ImageDraw.Draw(image))
    return image


@pytest.mark.parametrize("colour", BLANK)
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (512, 7), (500, 400)])
def test_one_colour_is_nothing_to_compare(colour, size):
    assert contrast(Image.new("RGB", size, colour)) == 0
    assert has_nothing_to_compare(Image.new("RGB", size, colour))


@pytest.mark.parametrize("levels", [1, 4, 10])
def test_faint_noise_is_nothing_to_compare(levels):
    assert has_nothing_to_compare(noisy(levels))


def test_what_lossy_coding_makes_of_one_colour_is_nothing_to_compare():
    for quality in (10, 60, 95):
        coded = jpeg(Image.new("RGB", (300, 200), (201, 13, 77)), quality=quality)
        assert has_nothing_to_compare(Image.open(io.BytesIO(coded)))


@pytest.mark.parametrize(
    "image",
    [
        picture(3),
        drawn(lambda pen: pen.line((0, 0, 400, 300), fill="black", width=2)),
        drawn(lambda pen: pen.ellipse((190, 140, 210, 160), fill="red")),
        drawn(lambda pen: pen.text((20, 20), "a line of text, and no more", fill="black")),
        drawn(lambda pen: pen.rectangle((100, 100, 300, 200), fill=(245, 245, 255))),
        drawn(lambda pen: pen.rectangle((0, 0, 200, 300), fill=(0, 105, 0)), ground=(200, 0, 0)),
        Image.linear_gradient("L").convert("RGB"),
    ],
    ids=["picture", "line", "dot", "text", "faint shape", "two colours", "gradient"],
)
def test_little_is_enough(image):
    assert not has_nothing_to_compare(image)

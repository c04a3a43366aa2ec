"""The captioner without weights: drawn pictures whose context is known."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from attribution.synthesis.context.colours import lab, name_of
from attribution.synthesis.context.plain import PlainCaptioner
from attribution.synthesis.context.subject import placement, subject_mask

WIDTH, HEIGHT = 192, 128


def picture(above="#4678c8", below="#3c913c", centre=(0.5, 0.5), radii=(20, 20), angle=0):
    """An orange ellipse over two halves; its angle counter-clockwise, in degrees."""
    image = Image.new("RGB", (WIDTH, HEIGHT), above)
    ImageDraw.Draw(image).rectangle((0, HEIGHT // 2, WIDTH, HEIGHT), fill=below)
    x, y = centre[0] * WIDTH, centre[1] * HEIGHT
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turns = [2 * math.pi * step / 90 for step in range(90)]
    points = [(radii[0] * math.cos(turn), radii[1] * math.sin(turn)) for turn in turns]
    outline = [(x + u * cosine + v * sine, y - u * sine + v * cosine) for u, v in points]
    ImageDraw.Draw(image).polygon(outline, fill="#f08c23")
    return image


def context(**drawn):
    return PlainCaptioner().describe(picture(**drawn))


def test_colours_and_layout_of_the_background_are_named_and_not_those_of_the_subject():
    assert context().background == "smooth blue above, smooth green below"
    assert context(below="#4678c8").background == "smooth blue"
    assert context(above="#101010", below="#ffffff").background.startswith("smooth black above")


def test_textures_are_told_apart():
    random = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    noise = np.repeat(random, 3, axis=2)
    assert PlainCaptioner().describe(Image.fromarray(noise)).background.startswith("busy")
    stripes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stripes[:, np.arange(WIDTH) // 8 % 2 == 0] = 255
    assert "vertically striped" in PlainCaptioner().describe(Image.fromarray(stripes)).background
    across = Image.fromarray(np.ascontiguousarray(stripes[:128, :128].transpose(1, 0, 2)))
    assert "horizontally striped" in PlainCaptioner().describe(across).background


@pytest.mark.parametrize(
    ("drawn", "pose"),
    [
        ({"radii": (14, 14)}, "small, in the middle, compact"),
        ({"centre": (0.2, 0.25), "radii": (16, 16)}, "small, in the upper left, compact"),
        ({"centre": (0.8, 0.5), "radii": (10, 30)}, "small, on the right, upright"),
        ({"centre": (0.5, 0.75), "radii": (60, 20)}, "medium-sized, in the lower middle, lying"),
        ({"radii": (60, 15), "angle": 40}, "medium-sized, in the middle, rising to the right"),
        ({"radii": (60, 15), "angle": 140}, "medium-sized, in the middle, rising to the left"),
        ({"radii": (70, 50)}, "large, in the middle, lying"),
    ],
)
def test_position_scale_and_orientation_of_the_subject_are_named(drawn, pose):
    assert context(**drawn).pose == pose


def test_the_placement_is_that_of_slow_sums():
    mask = np.asarray(picture(radii=(50, 12), angle=30).convert("RGB"))[..., 0] > 200
    found, points = placement(mask), np.argwhere(mask).tolist()
    mean_x = sum(column + 0.5 for _, column in points) / len(points)
    mean_y = sum(row + 0.5 for row, _ in points) / len(points)
    xx = sum((column + 0.5 - mean_x) ** 2 for _, column in points) / len(points) + 1 / 12
    yy = sum((row + 0.5 - mean_y) ** 2 for row, _ in points) / len(points) + 1 / 12
    xy = -sum((c + 0.5 - mean_x) * (r + 0.5 - mean_y) for r, c in points) / len(points)
    # The closed form of the eigenvalues and the axis of a symmetric 2 x 2 matrix.
    middle, spread = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    assert found.across * WIDTH == pytest.approx(mean_x)
    assert found.down * HEIGHT == pytest.approx(mean_y)
    assert found.share == pytest.approx(len(points) / mask.size)
    assert found.elongation == pytest.approx(math.sqrt((middle + spread) / (middle - spread)))
    assert found.angle == pytest.approx(math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180)
    assert found.angle == pytest.approx(30, abs=1)


def test_the_subject_is_what_the_border_does_not_show():
    mask = subject_mask(lab(np.asarray(picture(radii=(30, 20)))))
    drawn = np.asarray(picture(radii=(30, 20)))[..., 0] > 200
    assert (mask & drawn).sum() / (mask | drawn).sum() > 0.95


def test_lab_of_known_colours():
    known = {(255, 255, 255): (100, 0, 0), (0, 0, 0): (0, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20)}
    for colour, expected in known.items():
        assert lab(np.array(colour, np.uint8)) == pytest.approx(expected, abs=0.02)
    assert name_of(lab(np.array([[200, 40, 40], [210, 30, 30], [0, 0, 255]], np.uint8))) == "red"


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (9, 9)])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_any_picture_has_a_context_and_always_the_same(size, mode):
    image = Image.new(mode, size)
    first = PlainCaptioner().describe(image)
    assert first == PlainCaptioner().describe(image.copy())
    assert first.background
    assert first.pose

"""Curves where they should be on the picture, read back from its pixels."""

import math

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.pictures import curves as module
from attribution.evaluation.pictures.canvas import WRITTEN, shortened, text_width
from attribution.evaluation.pictures.curves import (
    HIGH,
    LEFT,
    PALETTE,
    TOP,
    WIDE,
    precision_recall_picture,
    recall_picture,
)

GREY_LEVELS = 30  # how far a smoothed pixel may be from the palette


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def near(found, colour):
    return np.abs(found - np.array(colour)).sum(axis=-1) < GREY_LEVELS


def column_of(found, x):
    """Rows (as values on the vertical axis) of each pixel of the column at a share of the width."""
    column = found[:, round(WRITTEN * (LEFT + WIDE * x))]
    values = 1 - (np.arange(len(column)) / WRITTEN - TOP) / HIGH
    return column, values


def value_at(found, x, colour):
    column, values = column_of(found, x)
    return float(values[near(column, colour)].mean())


def test_precision_recall_curves_pass_through_their_points(tmp_path):
    recall = np.linspace(0, 1, 11)
    curves = {"falls": np.stack([recall, 1 - recall]), "flat": np.stack([recall, 0 * recall + 0.3])}
    precision_recall_picture(curves, tmp_path / "pr.png")
    found = pixels(tmp_path / "pr.png")
    for x in (0.15, 0.45, 0.85):
        assert value_at(found, x, PALETTE[0]) == pytest.approx(1 - x, abs=0.01)
        assert value_at(found, x, PALETTE[1]) == pytest.approx(0.3, abs=0.01)


def test_the_axis_of_recall_at_k_is_logarithmic(tmp_path):
    curve = np.array([[1.0, 10, 100, 1000], [0.1, 0.2, 0.9, 1.0]])
    recall_picture({"one": curve}, tmp_path / "recall.png")
    found = pixels(tmp_path / "recall.png")
    for k, expected in ((10, 0.2), (10**1.5, 0.55), (100, 0.9)):
        x = math.log(k) / math.log(1000)
        assert value_at(found, x, PALETTE[0]) == pytest.approx(expected, abs=0.02)


def test_the_legend_shows_every_method_and_dashes_after_a_round_of_colours(tmp_path):
    recall = np.linspace(0, 1, 5)
    many = {f"method {n}": np.stack([recall, 0 * recall + n / 10]) for n in range(9)}
    precision_recall_picture(many, tmp_path / "pr.png")
    found = pixels(tmp_path / "pr.png")
    legend = found[:, WRITTEN * (LEFT + WIDE + 22) : WRITTEN * (LEFT + WIDE + 56)]

    def drawn(number):
        strip = legend[WRITTEN * (TOP + 12 + 24 * number)]
        return near(strip, PALETTE[number % len(PALETTE)]).mean()

    assert all(drawn(number) > 0.95 for number in range(7))
    assert all(0.3 < drawn(number) < 0.9 for number in (7, 8))


def test_ticks_never_crowd():
    assert module._rank_ticks(2) == (1, 2)
    assert module._rank_ticks(100) == (1, 2, 5, 10, 20, 50, 100)
    assert module._rank_ticks(14_693) == (1, 10, 100, 1000, 10_000)


def test_dashes_have_the_lengths_asked_for():
    corner = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)]
    pieces = list(module._dashed(corner, (7, 2)))
    assert pieces == [
        [(0, 0), (7, 0)],
        [(9, 0), (10, 0), (10, 6)],
        [(10, 8), (10, 10)],
    ]


def test_a_single_point_is_a_dot(tmp_path):
    precision_recall_picture({"one": np.array([[0.5], [0.5]])}, tmp_path / "pr.png")
    assert value_at(pixels(tmp_path / "pr.png"), 0.5, PALETTE[0]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "no curve"),
        ({"one": np.zeros(5)}, r"shape \(5,\)"),
        ({"one": np.zeros((2, 0))}, "shape"),
        ({"one": np.array([[1.0, 2.0], [0.5, 1.2]])}, "leaves the axis 'recall at K'"),
        ({"one": np.array([[0.0, 2.0], [0.5, 0.6]])}, "leaves the axis 'K"),
        ({"one": np.array([[1.0, 2.0], [0.5, np.nan]])}, "leaves the axis"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, curves, message):
    with pytest.raises(ValueError, match=message):
        recall_picture(curves, tmp_path / "recall.png")


def test_long_captions_are_cut_off():
    assert shortened("short", 13, 100) == "short"
    cut = shortened("a caption that is much too long", 13, 100)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 100

"""Pictures of decisions: which there are, and a curve where it should be."""

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.pictures.canvas import WRITTEN
from attribution.evaluation.pictures.curves import (
    HIGH,
    LEFT,
    PALETTE,
    SHARES,
    TOP,
    WIDE,
    Axis,
    curves_picture,
)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def value_at(found, x, colour):
    column = found[:, round(WRITTEN * (LEFT + WIDE * x))]
    near = np.abs(column - np.array(colour)).sum(axis=-1) < 30
    return float((1 - (np.flatnonzero(near) / WRITTEN - TOP) / HIGH).mean())


def test_a_diagonal_is_where_both_values_are_equal_on_logarithmic_axes_too(tmp_path):
    across = Axis("alpha", 0.001, 1.0, (0.001, 1.0), "g", logarithmic=True)
    up = Axis("rate", 0.001, 1.0, (0.001, 1.0), "g", logarithmic=True)
    curve = np.array([[0.001, 0.1, 1.0], [0.001, 0.1, 1.0]])
    curves_picture({"it": curve}, tmp_path / "with.png", across=across, up=up, title="t",
                   diagonal="as promised")  # fmt: skip
    curves_picture({"it": curve}, tmp_path / "without.png", across=across, up=up, title="t")
    with_it, without = pixels(tmp_path / "with.png"), pixels(tmp_path / "without.png")
    for x in (0.2, 0.5, 0.8):
        assert value_at(with_it, x, PALETTE[0]) == pytest.approx(x, abs=0.01)
    assert with_it.shape[1] > without.shape[1]  # its name is in the legend


def test_dots_mark_the_points(tmp_path):
    axis = Axis("share", 0.0, 1.0, SHARES)
    curve = np.array([[0.1, 0.5, 0.9], [0.2, 0.4, 0.6]])
    for dots in (False, True):
        path = tmp_path / f"{dots}.png"
        curves_picture({"it": curve}, path, across=axis, up=axis, title="t", dots=dots)
    ink = [
        int((np.abs(pixels(tmp_path / f"{dots}.png") - PALETTE[0]).sum(axis=-1) < 30).sum())
        for dots in (False, True)
    ]
    assert ink[1] > ink[0] + 3 * 50

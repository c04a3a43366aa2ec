"""Curves where they should be on the picture, read back from its pixels."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from attribution.evaluation.pictures.curves import (
    PALETTE,
    Axis,
    curves_picture,
    precision_recall_picture,
    recall_picture,
)

SHARE = Axis("share")
RATE = Axis("rate", 0.001, 1.0, logarithmic=True)


def drawn(curves, across=SHARE, up=SHARE, *, diagonal="", dots=False, steps=False):
    figure = curves_picture(
        curves,
        BytesIO(),
        across=across,
        up=up,
        title="t",
        diagonal=diagonal,
        dots=dots,
        steps=steps,
    )
    figure.canvas.draw()
    return figure


def near(figure, colour):
    """Which pixels have a colour, the top row first."""
    found = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    return np.abs(found - np.array(to_rgb(colour))).sum(axis=-1) < 0.12


def value_at(figure, x, colour):
    """Where the curve of a colour is above a value of the horizontal axis."""
    (axes,) = figure.axes
    mask = near(figure, colour)
    column = round(axes.transData.transform((x, axes.get_ylim()[1]))[0])
    row = np.flatnonzero(mask[:, column]).mean()
    return axes.transData.inverted().transform((column, len(mask) - 1 - row))[1]


def test_curves_pass_through_their_points():
    recall = np.linspace(0, 1, 11)
    curves = {"falls": np.stack([recall, 1 - recall]), "flat": np.stack([recall, 0 * recall + 0.3])}
    figure = drawn(curves)
    for x in (0.15, 0.45, 0.85):
        assert value_at(figure, x, PALETTE[0]) == pytest.approx(1 - x, abs=0.01)
        assert value_at(figure, x, PALETTE[1]) == pytest.approx(0.3, abs=0.01)


def test_a_logarithmic_axis_has_straight_lines_between_powers():
    curve = np.array([[1.0, 10, 100, 1000], [0.1, 0.2, 0.9, 1.0]])
    figure = drawn({"one": curve}, Axis("K", 1.0, 1000.0, logarithmic=True))
    for k, expected in ((10, 0.2), (10**1.5, 0.55), (100, 0.9)):
        assert value_at(figure, k, PALETTE[0]) == pytest.approx(expected, abs=0.02)


def test_steps_stay_level_up_to_the_next_point():
    figure = drawn({"one": np.array([[0.0, 0.5, 1.0], [0.2, 0.6, 0.6]])}, steps=True)
    assert value_at(figure, 0.45, PALETTE[0]) == pytest.approx(0.2, abs=0.01)
    assert value_at(figure, 0.55, PALETTE[0]) == pytest.approx(0.6, abs=0.01)


def test_the_legend_shows_every_method_and_dashes_after_a_round_of_colours():
    recall = np.linspace(0, 1, 5)
    names = ["_underlined", "cost $x", *(f"method {n}" for n in range(7))]
    figure = drawn({name: np.stack([recall, 0 * recall + 0.5]) for name in names})
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == names
    lines = legend.get_lines()
    assert [line.get_color() for line in lines] == [*PALETTE, *PALETTE[:2]]
    assert [line.get_linestyle() for line in lines] == ["-"] * 7 + ["--"] * 2


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (2, [1, 2]),
        (100, [1, 2, 5, 10, 20, 50, 100]),
        (14_693, [1, 10, 100, 1000, 10_000]),
    ],
)
def test_ticks_never_crowd(most, ticks):
    curve = np.array([[1.0, most], [0.0, 1.0]])
    (axes,) = drawn({"one": curve}, Axis("K", 1.0, most, logarithmic=True)).axes
    labels = [tick.label1.get_text() for tick in axes.xaxis.get_major_ticks()]
    inside = [value for value in axes.get_xticks() if 1 <= value <= most]
    assert inside == ticks
    assert {f"{value:,}" for value in ticks} <= set(labels)


def test_a_single_point_is_a_dot():
    figure = drawn({"one": np.array([[0.5], [0.5]])})
    assert value_at(figure, 0.5, PALETTE[0]) == pytest.approx(0.5, abs=0.01)


def test_dots_mark_the_points():
    curve = np.array([[0.1, 0.5, 0.9], [0.2, 0.4, 0.6]])
    ink = [near(drawn({"it": curve}, dots=dots), PALETTE[0]).sum() for dots in (False, True)]
    assert ink[1] > ink[0] + 3 * 50


def test_a_diagonal_is_where_both_values_are_equal_on_logarithmic_axes_too():
    curve = np.array([[0.001, 0.1, 1.0], [1.0, 1.0, 1.0]])
    figure = drawn({"it": curve}, RATE, RATE, diagonal="as promised")
    line = figure.axes[0].get_lines()[-1]
    assert line.get_xydata().tolist() == [[0.001, 0.001], [1.0, 1.0]]
    assert figure.axes[0].get_legend().get_texts()[-1].get_text() == "as promised"
    assert len(drawn({"it": curve}, RATE, RATE).axes[0].get_lines()) == 1


def test_pictures_are_png_files_that_grow_with_their_legend(tmp_path):
    recall = np.linspace(0, 1, 5)
    widths = []
    for name in ("one", "a method of a much longer name than the other"):
        precision_recall_picture({name: np.stack([recall, recall])}, tmp_path / "pr.png")
        with Image.open(tmp_path / "pr.png") as image:
            assert image.format == "PNG"
            widths.append(image.width)
    assert widths[1] > widths[0] + 100
    recall_picture({"one": np.array([[1.0, 5.0], [0.1, 0.9]])}, tmp_path / "recall.png")
    curves_picture(
        {"one": np.stack([recall, recall])}, tmp_path / "any.png", across=SHARE, up=SHARE, title="t"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"pr.png", "recall.png", "any.png"}


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

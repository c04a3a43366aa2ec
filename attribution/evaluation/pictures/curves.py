"""Curves of several methods on one pair of axes, drawn with Pillow alone. Knows no protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.pictures.canvas import (
    FAINT,
    FINE,
    INK,
    Canvas,
    Colour,
    Point,
    text_width,
)

Curve = NDArray[np.float64]

GRID: Colour = (228, 228, 232)
# Okabe and Ito's palette, which the colour-blind can tell apart; its yellow is too pale for lines.
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (60, 60, 66),
)
DASHES: tuple[tuple[float, ...], ...] = ((), (14, 8), (3, 7), (18, 6, 3, 6))
"""Lengths drawn and left out; each round through the palette takes the next."""
DIAGONAL = (4.0, 4.0)
LEFT, TOP, WIDE, HIGH = 78, 84, 620, 430
LINE, STEP = 2.5, 24
SHARES = tuple(step / 5 for step in range(6))
"""Ticks of an axis from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows, from where to where, and the format of its ticks."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    form: str = ".1f"
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Place of a value along the axis, 0 to 1."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def precision_recall_picture(
    curves: Mapping[str, Curve], path: Path, *, title: str = "Precision and recall"
) -> None:
    """Write precision over recall as a PNG.

    Args:
        curves: of each method, in the order of the legend: `(2, n)`, recall in [0, 1] above
            precision in [0, 1], by rising recall.
        path: of the PNG; its folder must exist.
        title: above the axes.

    Raises:
        ValueError: no curve, or one that is not `(2, n)` with values on the axes.
    """
    recall = Axis("recall", 0.0, 1.0, SHARES)
    _drawn(curves, recall, Axis("precision", 0.0, 1.0, SHARES), title).save(path)


def recall_picture(curves: Mapping[str, Curve], path: Path, *, title: str = "Recall at K") -> None:
    """Write recall over the number of sources looked at, on a logarithmic axis, as a PNG.

    Args:
        curves: of each method, in the order of the legend: `(2, n)`, K >= 1 above recall in
            [0, 1], by rising K.
        path: of the PNG; its folder must exist.
        title: above the axes.

    Raises:
        ValueError: no curve, or one that is not `(2, n)` with values on the axes.
    """
    _check_shapes(curves)
    most = max(2.0, *(float(curve[0].max()) for curve in curves.values()))
    ticks = _rank_ticks(most)
    ranks = Axis("K, sources looked at", 1.0, most, ticks, ",.0f", logarithmic=True)
    _drawn(curves, ranks, Axis("recall at K", 0.0, 1.0, SHARES), title).save(path)


def curves_picture(
    curves: Mapping[str, Curve],
    path: Path,
    *,
    across: Axis,
    up: Axis,
    title: str,
    diagonal: str = "",
    dots: bool = False,
) -> None:
    """Write any curves as a PNG.

    Args:
        curves: as in `recall_picture`, in the order of the legend, with values on the axes.
        path: of the PNG; its folder must exist.
        across: the horizontal axis.
        up: the vertical one.
        title: above the axes.
        diagonal: name of a grey line where both values are equal; empty: none.
        dots: mark the points that a curve joins.

    Raises:
        ValueError: no curve, or one that is not `(2, n)` with values on the axes.
    """
    _drawn(curves, across, up, title, diagonal=diagonal, dots=dots).save(path)


def _rank_ticks(most: float) -> tuple[float, ...]:
    """1, 2, 5, 10 ... up to `most`; powers of ten alone where those would crowd the axis."""
    powers = [10**power for power in range(math.floor(math.log10(most)) + 1)]
    ticks = [float(step * power) for power in powers for step in (1, 2, 5) if step * power <= most]
    return tuple(map(float, powers)) if len(ticks) > 12 else tuple(ticks)


def _check_shapes(curves: Mapping[str, Curve]) -> None:
    if not curves:
        raise ValueError("there is no curve to draw")
    for name, curve in curves.items():
        if curve.ndim != 2 or curve.shape[0] != 2 or curve.shape[1] == 0:
            raise ValueError(f"the curve of {name!r} has shape {curve.shape}, not (2, n)")


def _check_range(name: str, values: Curve, axis: Axis) -> None:
    if not np.all((values >= axis.low) & (values <= axis.high)):
        raise ValueError(
            f"the curve of {name!r} leaves the axis {axis.label!r}, {axis.low:g} to {axis.high:g}"
        )


def _drawn(
    curves: Mapping[str, Curve],
    across: Axis,
    up: Axis,
    title: str,
    *,
    diagonal: str = "",
    dots: bool = False,
) -> Canvas:
    _check_shapes(curves)
    for name, curve in curves.items():
        _check_range(name, curve[0], across)
        _check_range(name, curve[1], up)
    legend = max(text_width(name, 15) for name in [*curves, diagonal])
    rows = len(curves) + bool(diagonal)
    canvas = Canvas(LEFT + WIDE + 84 + legend, TOP + max(HIGH, STEP * rows) + 74)

    def place(x: float, y: float) -> Point:
        return LEFT + WIDE * across.share(x), TOP + HIGH * (1 - up.share(y))

    def entry(number: int, name: str, colour: Colour, dashes: tuple[float, ...]) -> None:
        x, y = LEFT + WIDE + 22, TOP + 12 + STEP * number
        _draw_line(canvas, [(x, y), (x + 34, y)], colour, dashes)
        canvas.text((x + 44, y), name, 15, INK, "lm")

    canvas.text((LEFT, 18), title, 20, INK)
    _draw_axes(canvas, across, up, place)
    if diagonal:
        low, high = max(across.low, up.low), min(across.high, up.high)
        _draw_line(canvas, [place(low, low), place(high, high)], FAINT, DIAGONAL)
        entry(len(curves), diagonal, FAINT, DIAGONAL)
    for number, (name, curve) in enumerate(curves.items()):
        colour = PALETTE[number % len(PALETTE)]
        dashes = DASHES[number // len(PALETTE) % len(DASHES)]
        points = [place(float(x), float(y)) for x, y in curve.T]
        _draw_line(canvas, points, colour, dashes)
        for point in points if dots else ():
            _dot(canvas, point, 2 * LINE, colour)
        entry(number, name, colour, dashes)
    return canvas


def _draw_axes(
    canvas: Canvas, across: Axis, up: Axis, place: Callable[[float, float], Point]
) -> None:
    canvas.text((LEFT, TOP - 30), up.label, 15, FAINT)
    canvas.text((LEFT + WIDE / 2, TOP + HIGH + 38), across.label, 15, FAINT, "ma")
    for tick in across.ticks:
        x, y = place(tick, up.low)
        _stroke(canvas, [(x, y), place(tick, up.high)], GRID, 1)
        canvas.text((x, y + 10), format(tick, across.form), 14, INK, "ma")
    for tick in up.ticks:
        x, y = place(across.low, tick)
        _stroke(canvas, [(x, y), place(across.high, tick)], GRID, 1)
        canvas.text((x - 10, y), format(tick, up.form), 14, INK, "rm")
    corner = place(across.low, up.low)
    _stroke(canvas, [place(across.low, up.high), corner], FAINT, 1)
    _stroke(canvas, [corner, place(across.high, up.low)], FAINT, 1)


def _draw_line(
    canvas: Canvas, points: Sequence[Point], colour: Colour, dashes: tuple[float, ...]
) -> None:
    """A polyline; a single point becomes a dot."""
    if len(points) == 1:
        _dot(canvas, points[0], 2 * LINE, colour)
        return
    for piece in _dashed(points, dashes) if dashes else [points]:
        _stroke(canvas, piece, colour, LINE)
        for point in piece[1:-1]:
            _dot(canvas, point, LINE / 2, colour)  # round joints: line joints leave cracks


def _stroke(canvas: Canvas, points: Sequence[Point], colour: Colour, width: float) -> None:
    pixels = [(FINE * x, FINE * y) for x, y in points]
    canvas.draw.line(pixels, fill=colour, width=round(FINE * width))


def _dot(canvas: Canvas, at: Point, radius: float, colour: Colour) -> None:
    x, y, r = FINE * at[0], FINE * at[1], FINE * radius
    canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _dashed(points: Sequence[Point], dashes: Sequence[float]) -> Iterator[list[Point]]:
    """Cut a polyline into pieces of the given lengths, drawn and left out in turn."""
    number, left = 0, dashes[0]
    piece = [points[0]]
    for start, end in pairwise(points):
        here, rest = start, math.dist(start, end)
        while rest > left:
            share = left / rest
            here = (here[0] + share * (end[0] - here[0]), here[1] + share * (end[1] - here[1]))
            rest -= left
            if number % 2 == 0:
                yield [*piece, here]
            number += 1
            left, piece = dashes[number % len(dashes)], [here]
        left -= rest
        piece.append(end)
    if number % 2 == 0 and len(piece) > 1:
        yield piece

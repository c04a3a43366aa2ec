"""Curves of several methods on one pair of axes. Knows no protocol. Needs the extra `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

try:
    from cycler import cycler
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MultipleLocator, NullLocator
except ImportError as error:  # pragma: no cover - every test has it
    raise ImportError(
        "charts need the extra `evaluate`: pip install 'attribution[evaluate]'"
    ) from error

Curve = NDArray[np.float64]

# Okabe and Ito's palette, which the colour-blind can tell apart; its yellow is too pale for lines.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3c3c42")
_STYLES = cycler(linestyle=["-", "--", ":", "-."]) * cycler(color=PALETTE)
_INK, _FAINT, _GRID = "#1e1e22", "#6e6e76", "#e4e4e8"
_INCHES, _DOTS = (6.4, 4.8), 160  # of the axes and what is written on them; the legend adds to it
_CROWDED = 1000  # from here on an axis of ranks has ticks at powers of ten alone


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows, and from where to where."""

    label: str
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False


def precision_recall_picture(
    curves: Mapping[str, Curve], path: Path, *, title: str = "Precision and recall"
) -> None:
    """Write precision over recall as a PNG; see `curves_picture`."""
    curves_picture(curves, path, across=Axis("recall"), up=Axis("precision"), title=title)


def recall_picture(curves: Mapping[str, Curve], path: Path, *, title: str = "Recall at K") -> None:
    """Write recall over the number of sources looked at, K, on a logarithmic axis, as a PNG."""
    _check_shapes(curves)
    most = max(2.0, *(float(curve[0].max()) for curve in curves.values()))
    ranks = Axis("K, sources looked at", 1.0, most, logarithmic=True)
    curves_picture(curves, path, across=ranks, up=Axis("recall at K"), title=title)


def curves_picture(
    curves: Mapping[str, Curve],
    path: Path | BinaryIO,
    *,
    across: Axis,
    up: Axis,
    title: str,
    diagonal: str = "",
    dots: bool = False,
    steps: bool = False,
) -> Figure:
    """Write curves as a PNG.

    Args:
        curves: of each method, in the order of the legend: `(2, n)` places across above places
            up, by rising place across.
        path: of the PNG, whose folder must exist, or a file to write it to.
        across: the horizontal axis.
        up: the vertical one.
        title: above the axes.
        diagonal: name of a grey line where both values are equal; empty: none.
        dots: mark the points that a curve joins.
        steps: a curve stays level up to its next point.

    Returns:
        What was written.

    Raises:
        ValueError: no curve, or one that is not `(2, n)` with values on the axes.
    """
    _check_shapes(curves)
    for name, curve in curves.items():
        _check_range(name, curve[0], across)
        _check_range(name, curve[1], up)
    figure = Figure(figsize=_INCHES, dpi=_DOTS)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_prop_cycle(_STYLES)
    axes.set_title(title, loc="left", color=_INK, pad=12, parse_math=False)
    _set_axes(axes, across, up)
    style = "steps-post" if steps else "default"
    lines = {
        name: axes.plot(
            *curve,
            drawstyle=style,
            marker="o" if dots or curve.shape[1] == 1 else "",
            clip_on=False,
        )
        for name, curve in curves.items()
    }
    if diagonal:
        ends = max(across.low, up.low), min(across.high, up.high)
        lines[diagonal] = axes.plot(ends, ends, color=_FAINT, linestyle=(0, (2, 2)), zorder=1.5)
    legend = axes.legend(
        [line for drawn in lines.values() for line in drawn],
        [str(number) for number in range(len(lines))],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        handlelength=3.0,
        frameon=False,
    )
    for text, name in zip(legend.get_texts(), lines, strict=True):
        text.set(text=name, parse_math=False)  # whatever letters a name has
    figure.savefig(path, bbox_inches="tight")
    return figure


def _set_axes(axes: Axes, across: Axis, up: Axis) -> None:
    axes.set(xlabel=across.label, ylabel=up.label)
    for shown, axis, scale, limits in (
        (across, axes.xaxis, axes.set_xscale, axes.set_xlim),
        (up, axes.yaxis, axes.set_yscale, axes.set_ylim),
    ):
        if shown.logarithmic:
            scale("log")
            subdivided = (1, 2, 5) if shown.low >= 1 and shown.high <= _CROWDED else (1,)
            axis.set_major_locator(LogLocator(subs=subdivided))
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(MultipleLocator((shown.high - shown.low) / 5))
        axis.set_major_formatter("{x:,g}")
        limits(shown.low, shown.high)
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(color=_FAINT, labelcolor=_INK)


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

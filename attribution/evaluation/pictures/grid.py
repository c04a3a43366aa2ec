"""Queries beside their true sources and what was ranked first. Knows no protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from attribution.evaluation.pictures.canvas import (
    FAINT,
    FINE,
    INK,
    PAPER,
    Canvas,
    Colour,
    shortened,
)

RIGHT: Colour = (0, 158, 115)
QUERY: Colour = (0, 90, 160)
CELL, GAP, CAPTION, TOP = 128, 14, 22, 92
BREAK = 30  # between query, true sources and ranked images


@dataclass(frozen=True, slots=True)
class GridCell:
    """One image of a grid.

    Attributes:
        image: shown whole.
        caption: a short line under it, cut off where it is too long.
        right: it is a true source of its row's query.
    """

    image: Image.Image
    caption: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class GridRow:
    """A query, its true sources, and what a method ranked first, best first."""

    query: GridCell
    truths: Sequence[GridCell]
    ranked: Sequence[GridCell]


def grid_picture(
    rows: Sequence[GridRow], path: Path, *, title: str = "Queries and what was found"
) -> None:
    """Write queries, their true sources and the best ranked images as a PNG.

    Ranked images that are right have a green frame and a tick, so that nobody needs the colour.

    Args:
        rows: one a line.
        path: of the PNG; its folder must exist.
        title: above the grid.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("a grid needs one row at least")
    _Grid(rows).drawn(title).save(path)


class _Grid:
    def __init__(self, rows: Sequence[GridRow]) -> None:
        self._rows = rows
        self._truths = max(1, *(len(row.truths) for row in rows))
        self._ranked = max(1, *(len(row.ranked) for row in rows))
        width = self._left(self._truths + self._ranked) + CELL + 2 * GAP
        self._canvas = Canvas(width, self._top(len(rows)) + GAP)

    def drawn(self, title: str) -> Canvas:
        """The whole grid."""
        self._canvas.text((2 * GAP, 18), title, 20, INK)
        truths = "true source" if self._truths == 1 else "true sources"
        for column, heading in ((0, "query"), (1, truths), (1 + self._truths, "ranked first")):
            self._canvas.text((self._left(column), TOP - 30), heading, 15, FAINT)
        for number, row in enumerate(self._rows):
            self._place(row.query, 0, self._top(number), QUERY)
            for column, cell in enumerate(row.truths, start=1):
                self._place(cell, column, self._top(number), None)
            for column, cell in enumerate(row.ranked, start=1 + self._truths):
                self._place(cell, column, self._top(number), RIGHT if cell.right else None)
        return self._canvas

    def _left(self, column: int) -> int:
        breaks = (column >= 1) + (column >= 1 + self._truths)
        return 2 * GAP + column * (CELL + GAP) + breaks * BREAK

    def _top(self, row: int) -> int:
        return TOP + row * (CELL + CAPTION + GAP)

    def _place(self, cell: GridCell, column: int, top: int, frame: Colour | None) -> None:
        left, side = self._left(column), FINE * CELL
        picture = ImageOps.contain(cell.image.convert("RGB"), (side, side))
        x = FINE * left + (side - picture.width) // 2
        y = FINE * top + (side - picture.height) // 2
        self._canvas.image.paste(picture, (x, y))
        if frame is not None:
            edge = 4 * FINE
            box = (x - edge, y - edge, x + picture.width + edge - 1, y + picture.height + edge - 1)
            self._canvas.draw.rectangle(box, outline=frame, width=edge)
        if frame == RIGHT:
            self._tick(x + picture.width, y)
        self._canvas.text((left, top + CELL + 7), shortened(cell.caption, 13, CELL), 13, FAINT)

    def _tick(self, x: int, y: int) -> None:
        """A white tick on a green disc over the corner at these pixels."""
        r = 11 * FINE
        cx, cy = x - r // 2, y + r // 2
        self._canvas.draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=RIGHT)
        tick = [(-0.45, 0.0), (-0.1, 0.35), (0.5, -0.35)]
        points = [(cx + r * a, cy + r * b) for a, b in tick]
        self._canvas.draw.line(points, fill=PAPER, width=round(2.5 * FINE), joint="curve")

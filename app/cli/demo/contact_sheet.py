"""One picture of many answers: each query beside its top sources, the true ones framed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

CELL, GAP, TEXT = 132, 12, 30
_PAPER, _INK, _FAINT = (250, 250, 248), (30, 30, 34), (120, 120, 126)
_TRUE, _QUERY = (22, 140, 80), (60, 90, 200)


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture with up to two lines under it."""

    image: Image.Image
    lines: tuple[str, ...]
    true: bool = False


def contact_sheet(rows: Sequence[tuple[Cell, Sequence[Cell]]], *, title: str) -> Image.Image:
    """Draw queries below each other, and beside each the sources listed for it, best first.

    True sources have a green frame, queries a blue one.
    """
    columns = 1 + max((len(sources) for _, sources in rows), default=0)
    width = GAP + columns * (CELL + GAP) + GAP
    height = 40 + len(rows) * (CELL + TEXT + GAP) + GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), title, fill=_INK, font=ImageFont.load_default(16))
    for number, (query, sources) in enumerate(rows):
        top = 40 + number * (CELL + TEXT + GAP)
        _draw(sheet, query, GAP, top, frame=_QUERY)
        for place, cell in enumerate(sources, start=1):
            left = 2 * GAP + place * (CELL + GAP)
            _draw(sheet, cell, left, top, frame=_TRUE if cell.true else None)
    return sheet


def _draw(
    sheet: Image.Image, cell: Cell, left: int, top: int, *, frame: tuple[int, int, int] | None
) -> None:
    picture = ImageOps.contain(cell.image.convert("RGB"), (CELL, CELL))
    x, y = left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2
    sheet.paste(picture, (x, y))
    draw = ImageDraw.Draw(sheet)
    if frame is not None:
        edges = (x - 3, y - 3, x + picture.width + 2, y + picture.height + 2)
        draw.rectangle(edges, outline=frame, width=3)
    font = ImageFont.load_default(11)
    for number, line in enumerate(cell.lines[:2]):
        fill = _INK if number == 0 else _FAINT
        draw.text((left, top + CELL + 3 + 13 * number), line, fill=fill, font=font)

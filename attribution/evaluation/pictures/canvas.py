"""A sheet to draw on, larger than it is written so that edges come out smooth. Knows no result."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

FINE = 4
"""Pixels drawn for one unit of length."""
WRITTEN = 2
"""Pixels written for one unit of length."""
PAPER: Colour = (255, 255, 255)
INK: Colour = (30, 30, 34)
FAINT: Colour = (110, 110, 118)


class Canvas:
    """A sheet of `width x height` units; `draw` and `image` count in pixels, `FINE` a unit."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (FINE * math.ceil(width), FINE * math.ceil(height)), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def text(self, at: Point, text: str, size: float, colour: Colour, anchor: str = "la") -> None:
        """Write at a place in units; `anchor` as in Pillow."""
        place = (FINE * at[0], FINE * at[1])
        self.draw.text(place, text, fill=colour, font=_font(size), anchor=anchor)

    def save(self, path: Path) -> None:
        """Write the sheet, `WRITTEN` pixels a unit."""
        self.image.reduce(FINE // WRITTEN).save(path)


def text_width(text: str, size: float) -> float:
    """Units that a line of text takes."""
    return _font(size).getlength(text) / FINE


def shortened(text: str, size: float, width: float) -> str:
    """The text, cut off with an ellipsis where it is wider than so many units."""
    if text_width(text, size) <= width:
        return text
    kept = len(text)
    while kept and text_width(text[:kept].rstrip() + "…", size) > width:
        kept -= 1
    return text[:kept].rstrip() + "…"


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FINE * size)

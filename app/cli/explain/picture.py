"""One picture of where an image resembles its sources: regions above, heat maps below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from attribution.evaluation.pictures.canvas import FAINT, FINE, INK, Canvas, Colour, shortened
from attribution.explanation import Explanation, SourceMaps
from attribution.explanation.pictures import heat_picture, overlaid, region_colour, region_picture

CELL, GAP, TOP, CAPTION = 190, 20, 84, 24
_LEGEND = 300
_NOBODY: Colour = (225, 225, 228)


@dataclass(frozen=True, slots=True, eq=False)
class ShownSource:
    """One source: its maps, its preview, its name and what is said of it."""

    maps: SourceMaps
    preview: Image.Image
    name: str
    lines: tuple[str, ...]


def explanation_picture(
    query: Image.Image,
    explanation: Explanation,
    rows: Sequence[ShownSource],
    path: Path,
    *,
    title: str,
    subtitle: str,
) -> None:
    """Write a PNG: the query and its regions, then a row of heat maps for each source."""
    width = 3 * (CELL + GAP) + 2 * GAP + _LEGEND
    height = TOP + (1 + len(rows)) * (CELL + CAPTION + GAP) + GAP
    canvas = Canvas(width, height)
    canvas.text((GAP, 18), shortened(title, 20, width - 2 * GAP), 20, INK)
    canvas.text((GAP, 48), shortened(subtitle, 14, width - 2 * GAP), 14, FAINT)
    regions = overlaid(_sized(query), region_picture(explanation.region_map), smooth=False)
    _place(canvas, query, 0, TOP, "the image asked about")
    _place(canvas, regions, 1, TOP, "regions by source")
    _legend(canvas, explanation, rows)
    for number, row in enumerate(rows, start=1):
        top = TOP + number * (CELL + CAPTION + GAP)
        heat = heat_picture(row.maps.query), heat_picture(row.maps.source)
        _place(canvas, overlaid(_sized(query), heat[0], smooth=True), 0, top, "where in the image")
        over_source = overlaid(_sized(row.preview), heat[1], smooth=True)
        _place(canvas, over_source, 1, top, "where in the source")
        if row.maps.evidence is not None:
            borne = overlaid(_sized(query), heat_picture(row.maps.evidence), smooth=True)
            _place(canvas, borne, 2, top, "what the score rests on")
        left = _left(3)
        name = f"{row.maps.rank}. {row.name}"
        canvas.text((left, top + 8), shortened(name, 16, _LEGEND), 16, INK)
        for line, text in enumerate(row.lines):
            canvas.text((left, top + 36 + 22 * line), shortened(text, 14, _LEGEND), 14, FAINT)
    canvas.save(path)


def _legend(canvas: Canvas, explanation: Explanation, rows: Sequence[ShownSource]) -> None:
    names = {row.maps.rank: row.name for row in rows}
    entries = [
        (region_colour(each.rank), f"{each.rank}. {names[each.rank]}", each.fraction)
        for each in explanation.regions
    ]
    entries.append((_NOBODY, "no source", explanation.none_fraction))
    for number, (colour, name, fraction) in enumerate(entries):
        left, top = _left(3), TOP + 8 + 17 * number
        corners = (left, top, left + 12, top + 12)
        canvas.draw.rectangle([FINE * each for each in corners], fill=colour)
        text = shortened(f"{fraction:.0%}  {name}", 13, _LEGEND - 20)
        canvas.text((left + 20, top - 1), text, 13, INK)


def _place(canvas: Canvas, image: Image.Image, column: int, top: int, caption: str) -> None:
    picture = _sized(image)
    side = FINE * CELL
    x = FINE * _left(column) + (side - picture.width) // 2
    canvas.image.paste(picture, (x, FINE * top + (side - picture.height) // 2))
    canvas.text((_left(column), top + CELL + 6), shortened(caption, 13, CELL), 13, FAINT)


def _sized(image: Image.Image) -> Image.Image:
    return ImageOps.contain(image.convert("RGB"), (FINE * CELL, FINE * CELL))


def _left(column: int) -> int:
    return GAP + column * (CELL + GAP)

"""Ways in which a picture is passed on, each by itself. Knows no method.

A disguise joins several things and says less about any of them; these tell which of them a search
does not survive. Every one of them ends as a JPEG of quality 75. As the conditions, they are
compared over time: a change here is a new family under a new name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from attribution.synthesis.laundering import recompressed

_QUALITY = 75
_WORDS = ("WHEN", "NOBODY", "ASKS", "WHERE", "THIS", "PICTURE", "CAME", "FROM", "AGAIN", "TODAY")


def screenshot(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """In a page, light or dark, of lines of text: the picture has 20 to 60 % of the area."""
    width, height = image.size
    share = float(rng.uniform(0.2, 0.6))
    stretch = float(rng.uniform(1.05, 1.5))  # of the page's width over the picture's
    across = max(width + 2, round(width * stretch))
    down = max(height + 2, round(width * height / share / across))
    line = max(2, down // 40)
    bar = min(2 * line, down - height)
    left, top = int(rng.integers(across - width + 1)), int(rng.integers(bar, down - height + 1))
    dark = bool(rng.integers(2))
    ground = (24, 26, 30) if dark else (250, 250, 250)
    page = Image.new("RGB", (across, down), ground)
    draw = ImageDraw.Draw(page)
    ink = (150, 155, 160) if dark else (90, 90, 95)
    for place in range(line, down - line, 2 * line):
        length = across * (0.35 if rng.random() < 0.2 else float(rng.uniform(0.75, 0.95)))
        draw.rectangle((line, place, max(line + 1, length), place + line // 2), fill=ink)
    draw.rectangle((0, 0, across, bar), fill=(60, 65, 75) if dark else (222, 225, 230))
    around = (left - line, max(bar, top - line), left + width + line, top + height + line)
    draw.rectangle(around, fill=ground)  # text keeps its distance
    page.paste(image, (left, top))
    return recompressed(page, _QUALITY)


def border(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Black bars above and below or on both sides, each 10 to 30 % of that side."""
    width, height = image.size
    share = float(rng.uniform(0.1, 0.3))
    across, down = (round(width * share), 0) if rng.integers(2) else (0, round(height * share))
    framed = Image.new("RGB", (width + 2 * across, height + 2 * down))
    framed.paste(image, (across, down))
    return recompressed(framed, _QUALITY)


def crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Half of the area, of the same shape, from anywhere."""
    width, height = image.size
    across, down = max(1, round(width * 0.5**0.5)), max(1, round(height * 0.5**0.5))
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    return recompressed(image.crop((left, top, left + across, top + down)), _QUALITY)


def rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """By 5 to 30 degrees either way, then cut to the largest upright part of the same shape."""
    angle = float(rng.uniform(5, 30)) * (1 if rng.integers(2) else -1)
    turned = image.rotate(angle, Image.Resampling.BICUBIC)
    width, height = image.size
    sine, cosine = math.sin(math.radians(abs(angle))), math.cos(math.radians(angle))
    # Turned back by the angle, the part's corners must lie within the picture.
    kept = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    across, down = max(1, int(width * kept)), max(1, int(height * kept))
    left, top = (width - across) // 2, (height - down) // 2
    return recompressed(turned.crop((left, top, left + across, top + down)), _QUALITY)


def turn(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A quarter of a turn either way, or upside down."""
    ways = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return recompressed(image.transpose(ways[int(rng.integers(3))]), _QUALITY)


def caption(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Words in large letters, over the top, the bottom or both, or on a white band above."""
    width, height = image.size
    size = max(4, round(height * float(rng.uniform(0.1, 0.16))))
    top, bottom = round(0.15 * size), height - round(1.4 * size)
    places = ((top,), (bottom,), (top, bottom), ())[int(rng.integers(4))]
    if places:
        lettered, ink, outline = image.copy(), "white", max(1, size // 12)
    else:
        lettered = Image.new("RGB", (width, height + round(1.5 * size)), "white")
        lettered.paste(image, (0, round(1.5 * size)))
        places, ink, outline = (top,), "black", 0
    draw, font = ImageDraw.Draw(lettered), ImageFont.load_default(size)
    for place in places:
        words = list(rng.permutation(_WORDS))
        while len(words) > 1 and draw.textlength(" ".join(words), font) > 0.95 * width:
            words.pop()
        draw.text(
            (width / 2, place),
            " ".join(words),
            ink,
            font,
            anchor="ma",
            stroke_width=outline,
            stroke_fill="black",
        )
    return recompressed(lettered, _QUALITY)


FAMILIES: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    each.__name__: each for each in (screenshot, border, crop, rotate, turn, caption)
}

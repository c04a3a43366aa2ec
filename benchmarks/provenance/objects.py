"""Objects with exact masks: drawn ones, which need no data, and pictures on a plain ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from attribution.synthesis.photographs import bundled_photographs

SMALLEST, LARGEST = 0.1, 0.7
"""Share of its picture that an object has; others are no objects, or whole scenes."""
_PLAIN = 18  # largest difference from the ground's colour, of 255
_FRAMED = 0.9  # of its bounding box
_TEXTURES = ("brick", "grass", "gravel", "tissue", "hubble", "coins")


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """An object cut out of its picture.

    Attributes:
        label: its class.
        pixels: `(h, w, 3)` uint8.
        matte: `(h, w)` bool, true where the object is.
    """

    label: str
    pixels: NDArray[np.uint8]
    matte: NDArray[np.bool_]


def segmented(picture: Image.Image) -> NDArray[np.bool_] | None:
    """The matte of one object on a plain ground; None where there is no such object.

    The ground is what a flood fill from the border reaches through colours like the border's
    median. What is left must be one component, but for crumbs, have 10 to 70 % of the area, and not
    be a framed picture: a rectangle is no object. Of an open line drawing the fill leaves lines,
    which have less than that.
    """
    from skimage.measure import label  # noqa: PLC0415  (the extra `synthesis`)

    pixels = np.asarray(picture.convert("RGB"), np.int16)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    plain = np.abs(pixels - np.median(border, axis=0)).max(axis=2) <= _PLAIN
    regions = label(plain, connectivity=1, background=0)
    edge = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    if (edge > 0).mean() < 0.95:
        return None
    rest = label(~np.isin(regions, np.unique(edge[edge > 0])), connectivity=2)
    sizes = np.bincount(rest.ravel())[1:]
    if not len(sizes) or sizes.max() < 0.98 * sizes.sum():
        return None
    matte: NDArray[np.bool_] = rest == 1 + sizes.argmax()
    rows, columns = (np.flatnonzero(matte.any(axis=axis)) for axis in (1, 0))
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    return matte if SMALLEST <= matte.mean() <= LARGEST and matte.sum() < _FRAMED * box else None


def drawn_objects(count: int, side: int, rng: np.random.Generator) -> list[Object]:
    """As many filled outlines of each class, skin and size and turn at random.

    The skin is a piece of a photograph in about the colour of the class.
    """
    photographs = [each.image for each in bundled_photographs() if each.name not in _TEXTURES]
    drawn = []
    for label, outline in OUTLINES.items():
        for _ in range(count):
            large = Image.new("L", (4 * side, 4 * side))
            points = outline(rng) * rng.uniform(1.3, 1.9) * side + 2 * side
            ImageDraw.Draw(large).polygon([tuple(point) for point in points], fill=255)
            matte = np.asarray(large.resize((side, side), Image.Resampling.BOX)) > 127
            skin = photographs[rng.integers(len(photographs))]
            colour = COLOURS[label] + rng.normal(0, 35, 3)
            pixels = np.clip(0.2 * np.asarray(piece(skin, side, rng)) + 0.8 * colour, 0, 255)
            drawn.append(Object(label, pixels.astype(np.uint8), matte))
    return drawn


def textures(count: int, side: int, rng: np.random.Generator) -> list[list[NDArray[np.uint8]]]:
    """Pieces of each of the bundled photographs that show one texture."""
    photographs = {each.name: each.image for each in bundled_photographs()}
    return [
        [np.asarray(piece(photographs[name], side, rng)) for _ in range(count)]
        for name in _TEXTURES[: len(OUTLINES)]
    ]


def piece(picture: Image.Image, side: int, rng: np.random.Generator) -> Image.Image:
    """A random square of a picture, an eighth to a half of its short side, scaled to `side`."""
    edge = max(1, int(min(picture.size) * rng.uniform(0.125, 0.5)))
    left, top = (int(rng.integers(length - edge + 1)) for length in picture.size)
    box = (left, top, left + edge, top + edge)
    return picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box=box)


def _turned(radii: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """`(k, 2)` points at these radii around the origin, turned at random."""
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


OUTLINES: Mapping[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "disc": lambda rng: _turned(np.ones(40), rng),
    "star": lambda rng: _turned(np.tile([1.0, 0.4], 5), rng),
    "triangle": lambda rng: _turned(np.ones(3), rng),
    "cross": lambda rng: _turned(np.tile([0.35, 1.0, 1.0], 4)[np.r_[1:12, 0]], rng),
}
"""Outlines of the drawn classes, of radius 1."""
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "disc": (220, 40, 40),
    "star": (40, 200, 60),
    "triangle": (50, 80, 230),
    "cross": (230, 200, 40),
}

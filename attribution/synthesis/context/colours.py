"""Basic names of colours, from pixels. Pure arithmetic; knows no picture and no sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The eleven basic terms of English (Berlin and Kay, 1969), each by a typical sRGB value of ours.
_TYPICAL = {
    "black": (12, 12, 12),
    "grey": (128, 128, 128),
    "white": (245, 245, 245),
    "red": (205, 35, 40),
    "orange": (240, 140, 35),
    "yellow": (240, 220, 60),
    "green": (60, 145, 60),
    "blue": (70, 120, 200),
    "purple": (125, 65, 155),
    "pink": (245, 150, 175),
    "brown": (115, 75, 40),
}
NAMES = tuple(_TYPICAL)
# Linear sRGB to XYZ of its own white (IEC 61966-2-1), so that white is (1, 1, 1).
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_TO_XYZ = _TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)


def lab(pixels: NDArray[np.uint8]) -> Floats:
    """CIELAB (CIE 1976) of sRGB values.

    Args:
        pixels: `(..., 3)`.

    Returns:
        `(..., 3)`: lightness from 0 to 100, then green to red and blue to yellow.
    """
    values = pixels.astype(np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def name_of(colours: Floats) -> str:
    """The commonest basic name among CIELAB colours `(n, 3)`; the first of `NAMES` in a draw."""
    typical = lab(np.array(list(_TYPICAL.values()), np.uint8))
    nearest = ((colours[:, None] - typical[None]) ** 2).sum(axis=2).argmin(axis=1)
    return NAMES[int(np.bincount(nearest, minlength=len(NAMES)).argmax())]

"""Pixels of more than 8 bits to 8, by the levels that they use. Knows arrays, no files.

Writers of 16-bit files often put values of 8, 10 or 12 bits there as they are; the high byte of
such values is black or nearly so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.images.notes import Note

_DEPTHS = (8, 10, 12, 16, 24, 32)
_SPREAD = 257  # 0 to 255 become 0 to 65535
_STRIP = 64  # rows at a time, so that no step takes as much memory as the picture
DARKEST = 1 << 12
"""Values that all stay below it use fewer than 16 bits."""


def deep_grey(image: Image.Image) -> tuple[Image.Image, Note | None]:
    """A picture of mode I;16, I or F as L, or as LA where a level is transparent."""
    values = np.asarray(image)
    grey, note = to_eight(values) if values.dtype.kind in "iu" else _from_floats(values)
    picture = Image.fromarray(grey)
    transparent = image.info.get("transparency")
    if transparent is not None:
        picture.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return picture, note


def to_eight(
    values: NDArray[np.integer], *, bits: int = 16
) -> tuple[NDArray[np.uint8], Note | None]:
    """Whole numbers of any shape, divided by what makes the smallest depth that holds all 8 bits.

    What was spread over 16 bits from 8 keeps them: it is dark because the picture is.

    Args:
        values: below 0 counts as 0.
        bits: of the format; where the values use fewer, the note says so.
    """
    largest = max(0, int(values.max(initial=0)))
    depth = next((each for each in _DEPTHS if largest < 1 << each), _DEPTHS[-1])
    eight = np.empty(values.shape, np.uint8)
    strips = [slice(start, start + _STRIP) for start in range(0, len(values), _STRIP)]
    if depth < 16 and not any((values[rows] % _SPREAD).any() for rows in strips):
        depth = 16
    for rows in strips:
        eight[rows] = (values[rows].clip(min=0) >> (depth - 8)).clip(max=255)
    return eight, _note(bits, depth) if largest and depth < bits else None


def _from_floats(values: NDArray[np.floating]) -> tuple[NDArray[np.uint8], Note | None]:
    """Numbers from 0 to 1, else whole numbers; stretched where some are negative."""
    finite = np.where(np.isfinite(values), values, 0)
    low, high = float(finite.min()), float(finite.max())
    if low < 0:
        finite = (finite - low) / (high - low or 1)
    elif high > 2:  # a little above 1 happens to numbers that were meant to end there
        return to_eight(finite.clip(max=2**32 - 1).astype(np.int64), bits=0)
    return (finite * 255).clip(0, 255).round().astype(np.uint8), None


def _note(bits: int, depth: int) -> Note:
    return Note(
        "levels",
        f"Its values of {bits} bits use {depth} of them, and are read as values of {depth} bits.",
    )

"""Colours of 16 bits a channel, of which Pillow reads the high bytes alone. Knows its raw modes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from models.images.levels import DARKEST, to_eight
from models.images.notes import Note

_Arguments = tuple[Any, ...] | str | None
"""Of a decoder: the raw mode, alone or before what says where the pixels lie."""
_GREY = "LA;16B"  # four bytes a pixel, which Pillow spreads over red, green and blue
_COLOURS = {_GREY} | {f"{mode};16{order}" for mode in ("RGB", "RGBX", "RGBA") for order in "BLN"}
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def is_deep_colour(opened: ImageFile) -> bool:
    """Whether a picture that is not loaded yet has colours of 16 bits a channel."""
    return bool(opened.tile) and _raw_mode(opened.tile[0].args) in _COLOURS


def deep_colour(
    opened: ImageFile, reopen: Callable[[], ImageFile]
) -> tuple[Image.Image, Note | None]:
    """The picture as RGB or RGBA of 8 bits, by its low bytes too where the high ones say little.

    Args:
        opened: a picture that `is_deep_colour`.
        reopen: gives it once more, not loaded.
    """
    transparent = opened.info.pop("transparency", None)
    high = np.asarray(opened)
    dark = int(high[..., :3].max(initial=0)) < DARKEST >> 8
    if not dark and transparent is None:
        return opened, None
    values = high.astype(np.uint16)
    values <<= 8
    values |= _low_bytes(reopen())
    eight, note = to_eight(values[..., :3]) if dark else (high[..., :3], None)
    picture = Image.fromarray(np.ascontiguousarray(eight))
    if transparent is not None:  # one colour of 16 bits, and no other that begins like it
        seen = (values != np.asarray(transparent, np.uint16)).any(axis=-1)
        picture.putalpha(Image.fromarray(seen.astype(np.uint8) * 255))
    elif values.shape[-1] == 4:
        alpha = values[..., 3]
        faint = note is not None and int(alpha.max(initial=0)) < DARKEST
        picture.putalpha(Image.fromarray(to_eight(alpha)[0] if faint else high[..., 3].copy()))
    return picture, note


def _low_bytes(opened: ImageFile) -> NDArray[np.uint8]:
    """`(h, w, 3 or 4)`, by reading what is written high byte first as if it were low byte first."""
    grey = _raw_mode(opened.tile[0].args) == _GREY
    opened.tile = [tile._replace(args=_swapped(tile.args)) for tile in opened.tile]
    low = np.asarray(opened)
    return low[..., [1, 1, 1, 3]] if grey else low


def _raw_mode(arguments: _Arguments) -> str:
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return str(first)


def _swapped(arguments: _Arguments) -> _Arguments:
    mode = _raw_mode(arguments)
    # Of grey with alpha, for which Pillow has no such reading, all four bytes are wanted.
    other = "RGBA" if mode == _GREY else mode[:-1] + _SWAPPED[mode[-1]]
    return (other, *arguments[1:]) if isinstance(arguments, tuple) else other

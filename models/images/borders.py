"""The picture within a picture: what bars, a page or a screen lie around. Knows pixels only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.images.notes import Note

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, as Pillow has them."""
_Mask = NDArray[np.bool_]

_NEAR = 24  # levels between a pixel of the ground and its colour, beside what lossy coding smeared
_PLAIN = 10  # the same on an outermost line, which lies far from any picture
_FLAT = 0.97  # of a line of one colour
_EMPTY = 0.985  # of a line between a picture and something else
_EDGE = 0.5  # of the outermost line of a picture, which is not the colour around it
_RAGGED = 0.04  # of a side, that may lie between the colour around and such a line
_MAIN = 0.5  # of all that is not the colour around
_SMALLEST, _LARGEST = 0.05, 0.9  # of the area
_SHORTEST = 32  # pixels


def cut_out(image: Image.Image) -> tuple[Image.Image, Note] | None:
    """The picture that an RGB picture frames, and what to say of it; None where it frames none."""
    box = content_box(image)
    if box is None:
        return None
    left, top, right, bottom = box
    across, down = (right - left) / image.width, (bottom - top) / image.height
    detail = (
        f"It frames a picture of {across:.0%} of its width and {down:.0%} of its height, which was "
        "looked for too; p-values are those of two looks."
    )
    return image.crop(box), Note("framed-picture", detail)


def content_box(image: Image.Image) -> Box | None:
    """Where the one picture is that lies on ground of one colour, with straight edges.

    The ground is what the outermost lines are of; several of one colour each may differ. What is
    left is parted at every line of ground, as long as there is any, and its largest piece counts:
    so text, buttons and captions are left behind. A drawing on its own paper has no straight
    edges, and is no picture within a picture.
    """
    pixels = np.asarray(image)
    grounds = _grounds(pixels)
    if not grounds:
        return None
    content = np.ones(pixels.shape[:2], bool)
    channels = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.int16)
    for colour in grounds:
        apart = [np.abs(one - level) > _NEAR for one, level in zip(channels, colour, strict=True)]
        content &= apart[0] | apart[1] | apart[2]
    rows, columns = _largest_piece(content)
    rows = _straight(content[:, columns], rows)
    columns = _straight(content[rows].T, columns)
    inside = content[rows, columns]
    fitting = (
        min(inside.shape) >= _SHORTEST
        and _SMALLEST <= inside.size / content.size <= _LARGEST
        and inside.sum() >= _MAIN * content.sum()
    )
    return (columns.start, rows.start, columns.stop, rows.stop) if fitting else None


def _grounds(pixels: NDArray[np.uint8]) -> list[NDArray[np.int16]]:
    """The colours of those outermost lines that are of one colour."""
    found: list[NDArray[np.int16]] = []
    for outermost in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        line = outermost.astype(np.int16)
        ordered = np.sort(line, axis=0)
        colour = (ordered[(len(line) - 1) // 2] + ordered[len(line) // 2]) // 2  # the median
        if (np.abs(line - colour) <= _PLAIN).all(axis=1).mean() < _FLAT:
            continue
        if all(np.abs(other - colour).max() > 2 for other in found):
            found.append(colour)
    return found


def _largest_piece(content: _Mask) -> tuple[slice, slice]:
    rows, columns = (slice(0, side) for side in content.shape)
    while True:
        before = rows, columns
        rows = _longest_run(content[rows, columns], rows.start)
        columns = _longest_run(content[rows, columns].T, columns.start)
        if (rows, columns) == before:
            return rows, columns


def _longest_run(content: _Mask, start: int) -> slice:
    """The longest run of rows that are not empty."""
    full = content.sum(axis=1) > (1 - _EMPTY) * content.shape[1]
    filled = np.concatenate([[False], full, [False]])
    changes = np.flatnonzero(filled[1:] != filled[:-1]).reshape(-1, 2)
    if not len(changes):
        return slice(start, start)
    first, last = changes[(changes[:, 1] - changes[:, 0]).argmax()].tolist()
    return slice(start + first, start + last)


def _straight(content: _Mask, rows: slice) -> slice:
    """Without the ragged rows at either end; empty where an end within the picture is all ragged.

    What reaches the border of the picture needs no edge.
    """
    filled = content[rows].sum(axis=1) >= _EDGE * content.shape[1]
    allowed = 2 + int(_RAGGED * len(content))
    first = 0 if rows.start == 0 else _first(filled, allowed)
    last = 0 if rows.stop == len(content) else _first(filled[::-1], allowed)
    if first is None or last is None:
        return slice(rows.start, rows.start)
    # One more, of whose pixels the ground may still be a part.
    return slice(
        rows.start + first + (rows.start > 0), rows.stop - last - (rows.stop < len(content))
    )


def _first(filled: _Mask, allowed: int) -> int | None:
    return int(filled[:allowed].argmax()) if filled[:allowed].any() else None

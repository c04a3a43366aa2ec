"""The picture within a picture: what bars, a page or a screen lie around. Knows pixels only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.images.notes import FRAMED, Note

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, as Pillow has them."""
_Mask = NDArray[np.bool_]
_Pixels = NDArray[np.uint8]
_Line = NDArray[np.int16]
_Colour = NDArray[np.int16]

_NEAR = 24  # levels between a pixel of the ground and its colour, beside what lossy coding smeared
_NEARER = 6  # the same around a dark picture, whose own pixels are nearly of that colour
_PLAIN = 10  # the same on an outermost line, which lies far from any picture
_DRAWN = 3  # the same on a line that no lens has seen
_FLAT = 0.97  # of a line of one colour
_TWO = 0.9  # of a line of two, between which lossy coding smears
_SECOND = 0.1  # of it, the second colour at least
_EMPTY = 0.985  # of a line between a picture and something else
_EDGE = 0.5  # of the outermost line of a picture, which is not the colour around it
_SHARP = 0.7  # the same, of lines that bend, where all around is out of focus
_RAGGED = 0.04  # of a side, that may lie between the colour around and such a line
_MAIN = 0.5  # of all that is not the colour around
_SMALLEST, _LARGEST = 0.05, 0.9  # of the area
_UNEVEN = 0.04  # of a side, between the margins on both sides of a picture that is centred
_BENT = 5  # levels of a second difference that nothing out of focus has
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
        "looked for too; p-values are those of all looks together."
    )
    return image.crop(box), Note(FRAMED, detail)


def content_box(image: Image.Image) -> Box | None:
    """Where the one picture is that lies on ground of few colours or out of focus.

    The ground is what the outermost lines are of: one colour each, or two, as of a page between
    bars, of a panel beside a screen, or of squares that stand for transparency. Or it has no
    detail, as a picture's own blurred enlargement. What is left is parted at every line of ground,
    as long as there is any, and its largest piece counts where its edges are straight: so text,
    buttons and captions are left behind. A drawing on its own paper has no straight edges, and is
    no picture within a picture.
    """
    for told in _told_apart(np.asarray(image)):
        box = _picture(told.content, told.edge)
        if box is not None and told.may_be(box, *image.size):
            return box
    return None


@dataclass(frozen=True, slots=True)
class _Told:
    """What is not ground by one way to tell it, and what is asked of a picture in it."""

    content: _Mask
    may_be: Callable[[Box, int, int], bool]
    edge: float = _EDGE


def _told_apart(pixels: _Pixels) -> Iterator[_Told]:
    """By each way that there is; what is the least sure comes last, and asks for more."""
    sides = [(pixels[0], pixels[-1]), (pixels[:, 0], pixels[:, -1])]
    lines = list(chain.from_iterable(sides))
    plain = _distinct(_one_colour(line, _PLAIN) for line in lines)
    drawn = [_one_colour(line, _DRAWN) or _two_colours(line) for line in lines]
    if plain or any(drawn):
        channels = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.int16)
        if any(len(each) == 2 for each in drawn):
            yield _Told(_apart(channels, _distinct(drawn), _NEAR), _between)
        yield _Told(_apart(channels, plain, _NEAR), _anywhere)
        yield _Told(_apart(channels, _distinct(drawn), _NEARER), _between)
    if not plain and any(_is_smooth(one) and _is_smooth(other) for one, other in sides):
        grey = _grey(pixels)
        yield _Told(_bends(grey) | _bends(grey.T).T, _centred, _SHARP)


def _anywhere(box: Box, width: int, height: int) -> bool:
    del box, width, height
    return True


def _between(box: Box, width: int, height: int) -> bool:
    """Whether the ground lies on opposite sides of a box."""
    left, top, right, bottom = box
    return (left > 0) == (right < width) and (top > 0) == (bottom < height)


def _centred(box: Box, width: int, height: int) -> bool:
    left, top, right, bottom = box
    uneven = abs(left + right - width) / width, abs(top + bottom - height) / height
    return _between(box, width, height) and max(uneven) <= _UNEVEN


def _is_smooth(line: _Pixels) -> bool:
    return bool(_bends(_grey(line)).mean() <= 1 - _EMPTY)


def _grey(pixels: _Pixels) -> NDArray[np.int16]:
    """Three times the level."""
    red, green, blue = (pixels[..., channel].astype(np.int16) for channel in range(3))
    return red + green + blue


def _bends(grey: NDArray[np.int16]) -> _Mask:
    """Where a line, or each line from the top down, has a large second difference."""
    bent = np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]) > 3 * _BENT
    return np.pad(bent, [(1, 1), *[(0, 0)] * (grey.ndim - 1)])


def _one_colour(line: _Pixels, near: int) -> list[_Colour]:
    """The colour of a line; none where it has several."""
    levels = line.astype(np.int16)
    colour = _median(levels)
    return [colour] if (np.abs(levels - colour) <= near).all(axis=1).mean() >= _FLAT else []


def _two_colours(line: _Pixels) -> list[_Colour]:
    """The two colours of a line that was drawn; none where it has more, or shades of them."""
    levels = line.astype(np.int16)
    middle = _median(levels)  # of two, it may be neither
    first = levels[np.abs(levels - middle).max(axis=1).argmin()]
    of_first = (np.abs(levels - first) <= _DRAWN).all(axis=1)
    if not of_first.any() or of_first.all():
        return []
    second = _median(levels[~of_first])
    of_second = (np.abs(levels - second) <= _DRAWN).all(axis=1) & ~of_first
    enough = of_second.mean() >= _SECOND and (of_first | of_second).mean() >= _TWO
    return [first, second] if enough else []


def _median(levels: _Line) -> _Colour:
    ordered = np.sort(levels, axis=0)
    middle: _Colour = (ordered[(len(levels) - 1) // 2] + ordered[len(levels) // 2]) // 2
    return middle


def _distinct(lines: Iterable[list[_Colour]]) -> list[_Colour]:
    found: list[_Colour] = []
    for colour in chain.from_iterable(lines):
        if all(np.abs(other - colour).max() > 2 for other in found):
            found.append(colour)
    return found


def _apart(channels: NDArray[np.int16], colours: Sequence[_Colour], near: int) -> _Mask:
    """The pixels that are of none of these colours."""
    content = np.ones(channels.shape[1:], bool)
    for colour in colours:
        apart = [np.abs(one - level) > near for one, level in zip(channels, colour, strict=True)]
        content &= apart[0] | apart[1] | apart[2]
    return content


def _picture(content: _Mask, edge: float) -> Box | None:
    """The largest piece of what is not ground, where it may be a picture."""
    rows, columns = _largest_piece(content)
    rows = _straight(content[:, columns], rows, edge)
    columns = _straight(content[rows].T, columns, edge)
    inside = content[rows, columns]
    fitting = (
        min(inside.shape) >= _SHORTEST
        and _SMALLEST <= inside.size / content.size <= _LARGEST
        and inside.sum() >= _MAIN * content.sum()
    )
    return (columns.start, rows.start, columns.stop, rows.stop) if fitting else None


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


def _straight(content: _Mask, rows: slice, edge: float) -> slice:
    """Without the ragged rows at either end; empty where an end within the picture is all ragged.

    What reaches the border of the picture needs no edge.
    """
    filled = content[rows].sum(axis=1) >= edge * content.shape[1]
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

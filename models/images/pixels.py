"""From a file of one picture to RGB pixels, few as the caller needs, with what had to be decided.

Knows Pillow and no container; whatever is damaged raises what Pillow raises, or ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

from PIL import Image
from PIL.ImageFile import ImageFile

from models.images.animations import Frame
from models.images.containers import Still
from models.images.deep import deep_colour, is_deep_colour
from models.images.errors import DecodingLimits
from models.images.ground import has_content, on_ground
from models.images.levels import deep_grey
from models.images.notes import NO_END, Note, later_frame

Opener = Callable[[BytesIO], ImageFile]
_DEEP_GREY = frozenset({"I;16", "I;16B", "I;16L", "I", "F"})
_FRAME = 10_000
"""Pixels that a frame of an animation counts as at least: opening one takes as long."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An RGB picture, not yet upright, and what was decided for it to be seen."""

    image: Image.Image
    notes: tuple[Note, ...]


def seen_in(still: Still, opener: Opener, target_side: int | None) -> Seen:
    """Decode a still to RGB, its long side at most `target_side`."""
    if not still.ended:
        return _unended(still, opener, target_side)
    opened = opener(BytesIO(still.data))
    _check_size(opened, still)
    image, levels = _reduced(opened, lambda: opener(BytesIO(still.data)), target_side)
    image, ground = on_ground(image)
    found = (note for note in (levels, ground) if note is not None)
    return Seen(image, (*still.notes, *found))


def frame_with_content(
    frames: Iterable[Frame],
    still: Still,
    opener: Opener,
    limits: DecodingLimits,
    target_side: int | None,
) -> Seen | None:
    """The first frame of an animation, as it is shown, that is more than one colour.

    None where there is none among as many frames as have `limits.max_pixels` together, each as
    large as what it decodes to or as what it is laid on, whichever is larger.
    """
    size = still.width, still.height
    canvas, spent = Image.new("RGBA", size), 0
    for number, frame in enumerate(frames, start=1):
        opened = opener(BytesIO(frame.data))
        spent += max(_FRAME, still.width * still.height, opened.width * opened.height)
        if spent > limits.max_pixels:
            return None
        picture = _continuous(opened, partial(opener, BytesIO(frame.data)))[0].convert("RGBA")
        before = canvas.copy()
        frame.lay(picture, canvas)
        image, ground = on_ground(_smaller(canvas, target_side))
        if has_content(image):  # the first one has none, unless it is not what was seen before
            note = later_frame(number)
            return Seen(image, (*still.notes, note, *([] if ground is None else [ground])))
        frame.left_behind(canvas, before, picture.size)
    return None


def _check_size(opened: ImageFile, still: Still) -> None:
    if opened.size != (still.width, still.height):
        raise ValueError(f"two sizes, {still.width} x {still.height} and {opened.size}")


# What an interrupted scan would be filled up with: never an end, and each restart marker in turn.
_JUNK = bytes(range(7, 250, 11))
_FILLERS = tuple(
    b"".join(piece + b"\xff%c" % marker for marker in range(0xD0, 0xD8)) + piece
    for piece in (_JUNK, _JUNK[::-1])
)
_END = b"\xff\xd9"


def _unended(still: Still, opener: Opener, target_side: int | None) -> Seen:
    """A JPEG without its end marker, where it has all rows: nothing put behind them is read.

    Raises:
        ValueError: what is put there shows in the picture.
    """
    seen, *filled = (
        seen_in(replace(still, data=still.data + end, ended=True), opener, target_side)
        for end in (_END, *(filler + _END for filler in _FILLERS))
    )
    if any(other.image.tobytes() != seen.image.tobytes() for other in filled):
        raise ValueError("it ends early")
    return Seen(seen.image, (*seen.notes, NO_END))


def _reduced(
    opened: ImageFile, reopen: Callable[[], ImageFile], target_side: int | None
) -> tuple[Image.Image, Note | None]:
    """Decode with the long side at most `target_side`, at least `target_side` if it was."""
    size = _reduced_size(opened.size, target_side)
    # Only the JPEG reader has a draft: 1/2, 1/4 or 1/8 of each side, never below the size asked.
    draft = opened.draft(None, size) if size != opened.size else None
    image, note = _continuous(opened, reopen)
    if image.size == size:
        return image, note
    box = draft[1] if draft else None
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0), note


def _smaller(image: Image.Image, target_side: int | None) -> Image.Image:
    size = _reduced_size(image.size, target_side)
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _reduced_size(size: tuple[int, int], target_side: int | None) -> tuple[int, int]:
    long_side = max(size)
    if target_side is None or long_side <= target_side:
        return size
    width, height = (max(1, round(side * target_side / long_side)) for side in size)
    return width, height


def _continuous(
    image: ImageFile, reopen: Callable[[], ImageFile]
) -> tuple[Image.Image, Note | None]:
    """The picture in 8 bits a channel, in a mode whose values may be averaged."""
    if is_deep_colour(image):
        return deep_colour(image, reopen)
    if image.mode in _DEEP_GREY:
        return deep_grey(image)
    if image.mode == "La":
        return image.convert("LA"), None
    if image.has_transparency_data and image.mode not in {"RGBA", "LA"}:
        return image.convert("RGBA"), None
    if image.mode in {"P", "1"}:
        return image.convert("RGB" if image.mode == "P" else "L"), None
    image.load()
    return image, None

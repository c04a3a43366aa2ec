"""The frames of an animation, for one whose first shows nothing. Reads containers, decodes none.

Every frame is given as a file of its own, so that decoders meet no more than one picture here too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from PIL import Image

from models.images.containers import (
    gif_blocks,
    gif_palette_end,
    png_chunks,
    png_file,
    webp_chunks,
    webp_file,
)

Disposal = Literal["keep", "clear", "restore"]
_DISPOSALS: dict[int, Disposal] = {1: "clear", 2: "restore"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: a file of it, its place on the canvas, how it is laid there and what comes after.

    `replaces`: its transparent pixels make the canvas transparent. `disposal`: whether the canvas
    then keeps it, is cleared where it was, or is as it was before.
    """

    data: bytes
    left: int
    top: int
    replaces: bool
    disposal: Disposal

    def lay(self, picture: Image.Image, canvas: Image.Image) -> None:
        """Draw the decoded frame on an RGBA canvas."""
        if self.replaces:
            canvas.paste(picture, (self.left, self.top))
        else:
            canvas.alpha_composite(picture, (self.left, self.top))

    def left_behind(self, canvas: Image.Image, before: Image.Image, size: tuple[int, int]) -> None:
        """What the next frame finds, of one that was drawn and one from before that."""
        if self.disposal == "keep":
            return
        box = (self.left, self.top, self.left + size[0], self.top + size[1])
        found = before.crop(box) if self.disposal == "restore" else Image.new("RGBA", size)
        canvas.paste(found, box[:2])


def frames_of(image_format: str, data: bytes) -> Iterator[Frame]:
    """The frames of a file in order, the first one too; none of a format without animations.

    Raises:
        CorruptImage, struct.error, LookupError: the file is damaged behind its first picture.
    """
    reader = _READERS.get(image_format)
    return iter(()) if reader is None else reader(data)


def _gif_frames(data: bytes) -> Iterator[Frame]:
    flags = number = 0
    disposal: Disposal = "keep"
    screen = data[10 : gif_palette_end(data)]
    for (kind, start), (_, end) in pairwise(gif_blocks(data)):
        if kind == b"!\xf9":
            flags, number = data[start + 3], data[start + 6]
            disposal = _DISPOSALS.get((flags >> 2 & 7) - 1, "keep")
        elif kind == b",":
            left, top, width, height = struct.unpack_from("<4H", data, start + 1)
            file = data[:6] + struct.pack("<HH", width, height) + screen
            file += b"!\xf9\4%c\0\0%c\0" % (flags & 1, number)
            file += b"," + struct.pack("<4H", 0, 0, width, height) + data[start + 9 : end]
            yield Frame(file + b";", left, top, replaces=False, disposal=disposal)
            flags, number, disposal = 0, 0, "keep"


def _png_frames(data: bytes) -> Iterator[Frame]:
    header, shared = b"", dict[bytes, bytes]()
    control, pieces = b"", list[bytes]()
    for name, body in png_chunks(data):
        if name == b"IHDR":
            header = body
        elif name in {b"PLTE", b"tRNS"}:
            shared[name] = body
        elif name == b"fcTL":
            if pieces:
                yield _png_frame(header, shared, control, pieces)
            control, pieces = body, []
        elif control and name in {b"IDAT", b"fdAT"}:  # a picture before all control is no frame
            pieces.append(body if name == b"IDAT" else body[4:])
    if pieces:
        yield _png_frame(header, shared, control, pieces)


def _png_frame(
    header: bytes, shared: dict[bytes, bytes], control: bytes, pieces: list[bytes]
) -> Frame:
    width, height, left, top, _, disposal, blend = struct.unpack_from(">4x5IBB", control)
    file = png_file(
        {b"IHDR": struct.pack(">II", width, height) + header[8:]}
        | shared
        | {b"IDAT": b"".join(pieces)}
    )
    return Frame(file, left, top, blend == 0, _DISPOSALS.get(disposal, "keep"))


def _webp_frames(data: bytes) -> Iterator[Frame]:
    for name, chunk in webp_chunks(data):
        if name != b"ANMF":
            continue
        left, top, width, height = (
            int.from_bytes(chunk[start : start + 3], "little") for start in (8, 11, 14, 17)
        )
        size = struct.pack("<II", width, height)
        extended = b"VP8X\x0a\0\0\0\x10\0\0\0" + size[:3] + size[4:7]
        flags = chunk[23]
        yield Frame(
            webp_file(extended + chunk[24:]),
            2 * left,
            2 * top,
            replaces=bool(flags & 2),
            disposal="clear" if flags & 1 else "keep",
        )


_READERS: dict[str, Callable[[bytes], Iterator[Frame]]] = {
    "gif": _gif_frames,
    "png": _png_frames,
    "webp": _webp_frames,
}

"""Reads image containers without decoding: which format, how large, how oriented.

A file is repacked to its first picture alone, so that no metadata, colour profile or further frame
ever reaches a decoder. Knows bytes, no pixels.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.images.errors import DecodingLimits, corrupt
from models.images.exif import orientation_of
from models.images.notes import NO_END, Note

_MAX_BLOCKS = 100_000  # far above any real file; keeps a file of tiny blocks from stalling us
_MAX_SCANS = 50  # of a progressive JPEG, where a few bytes buy one more pass over all pixels


@dataclass(frozen=True, slots=True)
class Still:
    """One picture without metadata: its size and EXIF orientation (1 to 8), and a file of it.

    `ended` is false of a JPEG whose end marker is missing, and then `data` has none either: whether
    it holds all rows is seen when it is decoded. `notes` say what reading it had to decide.
    """

    width: int
    height: int
    orientation: int
    data: bytes
    ended: bool = True
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """A format: how its files begin, are read and are opened."""

    format: str
    matches: Callable[[bytes], bool]
    read: Callable[[bytes, DecodingLimits], Still]
    opener: Callable[[BytesIO], ImageFile]


# A marker: not a stuffed 0xFF00, and not a restart within a scan.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\x01\xd0-\xd8])", re.DOTALL)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables, frames and scans, and what tells how colours are stored: JFIF (APP0), Adobe (APP14).
_JPEG_KEPT = frozenset({*range(0xC0, 0xE1), 0xEE})


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of every segment up to the end of the image, which may be missing."""
    position = 2
    for _ in range(_MAX_BLOCKS):
        found = _JPEG_MARKER.search(data, position)
        if found is None:
            return
        marker, start = found[1][0], found.start()
        if marker == 0xD9:
            yield marker, start, start + 2
            return
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        position = start + 2 + length
        if length < 2 or position > len(data):
            raise corrupt("jpeg", "a segment runs past the end")
        yield marker, start, position
    raise corrupt("jpeg", "too many segments")


def _read_jpeg(data: bytes, limits: DecodingLimits) -> Still:
    width = height = components = scans = first_scan = end_of_image = 0
    orientation = None
    final: set[tuple[int, int]] = set()
    kept = [data[:2]]
    for marker, start, end in jpeg_segments(data):
        segment = data[start:end]
        if marker == 0xD9:
            end_of_image = end
        elif marker == 0xDA:
            scans += 1
            first_scan = first_scan or start
            final |= _final_coefficients(segment)
        elif marker == 0xE1 and segment[4:10] == b"Exif\0\0" and orientation is None:
            orientation = orientation_of(segment[10:])
        if marker in _JPEG_FRAMES:
            height, width, components = struct.unpack_from(">HHB", segment.ljust(10, b"\0"), 5)
            limits.check_pixels(width, height)
        if not scans and marker in _JPEG_KEPT:
            kept.append(segment)
    if not end_of_image and len(final) < 64 * max(1, components):
        raise corrupt("jpeg", "it ends early")
    if not scans or scans > _MAX_SCANS:
        raise corrupt("jpeg", f"{scans} scans")
    # A lone first half of the end marker says no more than none.
    picture = data[first_scan:end_of_image] if end_of_image else data[first_scan:].rstrip(b"\xff")
    kept.append(picture)
    return Still(width, height, orientation or 1, b"".join(kept), ended=bool(end_of_image))


def _final_coefficients(scan: bytes) -> set[tuple[int, int]]:
    """Component and number of each coefficient that this scan brings to its last bit."""
    count = scan[4] if len(scan) > 4 else 0
    first, last, bits = scan[5 + 2 * count : 8 + 2 * count].ljust(3, b"\0")[:3]
    if bits & 15:  # a progressive scan that leaves lower bits to a later one
        return set()
    return {
        (component, number)
        for component in scan[5 : 5 + 2 * count : 2]
        for number in range(first, min(last, 63) + 1)
    }


_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of every chunk up to the end chunk; those that matter with their checksum.

    A file that is cut short once its pixels have begun gives what there is of them, and no end
    chunk: whether that is all rows is seen when it is decoded.
    """
    position, begun = len(_PNG_MAGIC), False
    for _ in range(_MAX_BLOCKS):
        name, body_start = data[position + 4 : position + 8], position + 8
        if name == b"IEND":
            yield name, b""
        if name == b"IEND" or len(name) < 4:
            return
        body_end = body_start + int.from_bytes(data[position : position + 4], "big")
        position, begun = body_end + 4, begun or name == b"IDAT"
        body = data[body_start:body_end]
        if position > len(data):
            if not begun:
                raise corrupt("png", f"chunk {_readable(name)} runs past the end")
            yield name, body
            return
        checksum = int.from_bytes(data[body_end:position], "big")
        if name in _PNG_KEPT and zlib.crc32(body, zlib.crc32(name)) != checksum:
            raise corrupt("png", f"wrong checksum of chunk {_readable(name)}")
        yield name, body
    raise corrupt("png", "too many chunks")


def _read_png(data: bytes, limits: DecodingLimits) -> Still:
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise corrupt("png", "it has no header")
    width, height = struct.unpack_from(">II", data, 16)
    limits.check_pixels(width, height)
    bodies: dict[bytes, list[bytes]] = {name: [] for name in (*_PNG_KEPT, b"eXIf")}
    name = b""
    for name, body in png_chunks(data):
        if name in bodies:
            bodies[name].append(body)
    # An animated PNG keeps the frames after the first in other chunks, which are left behind.
    file = png_file({name: b"".join(bodies[name]) for name in _PNG_KEPT})
    exif = bodies[b"eXIf"]
    notes = () if name == b"IEND" else (NO_END,)
    return Still(width, height, orientation_of(exif[0]) if exif else 1, file, notes=notes)


def png_file(bodies: Mapping[bytes, bytes]) -> bytes:
    """A file of these chunks, empty ones left out."""
    packed = [_PNG_MAGIC]
    for name, body in [*bodies.items(), (b"IEND", b"")]:
        if body or name == b"IEND":
            packed += [struct.pack(">I4s", len(body), name), body]
            packed += [struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))]
    return b"".join(packed)


_WEBP_KEPT = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})


def _webp_size(header: bytes) -> tuple[int, int]:
    """Width and height of the canvas, from the first 30 bytes of the file."""
    kind = header[12:16]
    if kind == b"VP8X":
        width, height = header[24:27], header[27:30]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(header[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = header[26:28], header[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    raise corrupt("webp", f"it begins with chunk {_readable(kind)}")


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and padded bytes, with their 8 of header, of every chunk."""
    end = int.from_bytes(data[4:8], "little") + 8
    if end > len(data) + 1:  # the last byte may be padding, which says nothing
        raise corrupt("webp", "it ends early")
    position = 12
    for _ in range(_MAX_BLOCKS):
        if position + 8 > end:
            return
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        following = position + 8 + length + length % 2
        if following > end + 1 or following - length % 2 > len(data):
            raise corrupt("webp", "a chunk runs past the end")
        yield (
            data[position : position + 4],
            data[position:following].ljust(following - position, b"\0"),
        )
        position = following
    raise corrupt("webp", "too many chunks")


def _read_webp(data: bytes, limits: DecodingLimits) -> Still:
    if len(data) < 30:
        raise corrupt("webp", "it has no header")
    width, height = _webp_size(data)
    limits.check_pixels(width, height)
    orientation, kept = 1, dict[bytes, bytes]()
    for name, chunk in webp_chunks(data):
        if name in _WEBP_KEPT:
            kept.setdefault(name, chunk)  # of the frames of an animation (ANMF) the first
        elif name == b"EXIF":
            orientation = orientation_of(chunk[8:].removeprefix(b"Exif\0\0"))
    return Still(width, height, orientation, webp_file(b"".join(kept.values())))


def webp_file(chunks: bytes) -> bytes:
    """A file of these padded chunks."""
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def gif_blocks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind and start of every block: b"," a picture, b"!" and a label an extension, b"" the end."""
    position, inside = gif_palette_end(data), False
    for _ in range(_MAX_BLOCKS):
        if inside:  # sub-blocks led by their length, the last of length 0
            length = data[position] if position < len(data) else 0
            position, inside = position + 1 + length, length > 0
            continue
        start, introducer, inside = position, data[position : position + 1], True
        if introducer == b"," and len(data) >= position + 10:
            yield introducer, start
            position = _gif_palette_end(data, position + 9, position + 10) + 1
        elif introducer == b"!" and len(data) >= position + 2:
            yield data[position : position + 2], start
            position += 2
        else:
            yield b"", start
            return
    raise corrupt("gif", "too many blocks")


def gif_palette_end(data: bytes) -> int:
    """Where the header, the screen and the palette of all pictures end."""
    return _gif_palette_end(data, 10, 13)


def _gif_palette_end(data: bytes, flags: int, start: int) -> int:
    return start + (3 << (data[flags] & 7) + 1 if data[flags] & 0x80 else 0)


def _read_gif(data: bytes, limits: DecodingLimits) -> Still:
    if len(data) < 13:
        raise corrupt("gif", "it has no header")
    width, height = struct.unpack_from("<HH", data, 6)
    if width and height:  # a screen without area is as large as its picture
        limits.check_pixels(width, height)
    control = b""
    for kind, start in gif_blocks(data):
        if kind == b",":
            break
        if not kind:
            raise corrupt("gif", "it holds no picture")
        if kind == b"!\xf9":  # graphic control: keep which colour is transparent, nothing else
            block = data[start : start + 8].ljust(8, b"\0")
            control = b"!\xf9\4%c\0\0%c\0" % (block[3] & 1, block[6])
    left, top, across, down = struct.unpack_from("<4H", data, start + 1)
    width, height = max(width, left + across), max(height, top + down)  # pictures may overhang
    limits.check_pixels(width, height)
    screen = data[:6] + struct.pack("<HH", width, height) + data[10 : gif_palette_end(data)]
    return Still(width, height, 1, screen + control + data[start:])


CONTAINERS = (
    Container("jpeg", lambda data: data[:3] == b"\xff\xd8\xff", _read_jpeg, JpegImageFile),
    Container("png", lambda data: data[:8] == _PNG_MAGIC, _read_png, PngImageFile),
    Container("webp", lambda data: data[:4] + data[8:12] == b"RIFFWEBP", _read_webp, WebPImageFile),
    Container("gif", lambda data: data[:6] in {b"GIF87a", b"GIF89a"}, _read_gif, GifImageFile),
)


def _readable(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace").strip()

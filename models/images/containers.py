"""Reads image containers without decoding: which format, how large, how oriented.

A file is repacked to its first picture alone, so that no metadata, colour profile or further frame
ever reaches a decoder. Knows bytes, no pixels.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.images.errors import DecodingLimits, UnsupportedImage, corrupt

_MAX_BLOCKS = 100_000  # far above any real file; keeps a file of tiny blocks from stalling us
_MAX_SCANS = 50  # of a progressive JPEG, where a few bytes buy one more pass over all pixels


@dataclass(frozen=True, slots=True)
class Still:
    """One picture without metadata: its size and EXIF orientation (1 to 8), and a file of it."""

    width: int
    height: int
    orientation: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Container:
    """A format: how its files begin, are read and are opened."""

    format: str
    matches: Callable[[bytes], bool]
    read: Callable[[bytes, DecodingLimits], Still]
    opener: Callable[[BytesIO], ImageFile]


def container_of(data: bytes) -> Container:
    """The format of these bytes; raises UnsupportedImage for any other."""
    for container in _CONTAINERS:
        if container.matches(data):
            return container
    raise UnsupportedImage(
        "This is not a JPEG, PNG, WebP or GIF file: convert the image to one of these formats."
    )


def _orientation(tiff: bytes) -> int:
    """The orientation in an EXIF block, 1 (upright) when there is none or it makes no sense."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == 0x0112 and kind in {3, 4}:  # a short by the standard, a long by mistake
                (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the block ends early
        return 1
    return 1


# A marker: not a stuffed 0xFF00, and not a restart within a scan.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\x01\xd0-\xd8])", re.DOTALL)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables, frames and scans, and what tells how colours are stored: JFIF (APP0), Adobe (APP14).
_JPEG_KEPT = frozenset({*range(0xC0, 0xE1), 0xEE})


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of every segment up to the end of the image."""
    position = 2
    for _ in range(_MAX_BLOCKS):
        found = _JPEG_MARKER.search(data, position)
        if found is None:
            raise corrupt("jpeg", "it ends early")
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
    width = height = scans = first_scan = 0
    orientation = None
    kept = [data[:2]]
    for marker, start, end in _jpeg_segments(data):
        segment = data[start:end]
        if marker == 0xD9 and scans:
            kept.append(data[first_scan:end])
        elif marker == 0xDA:
            scans += 1
            first_scan = first_scan or start
        elif marker == 0xE1 and segment[4:10] == b"Exif\0\0" and orientation is None:
            orientation = _orientation(segment[10:])
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", segment.ljust(9, b"\0"), 5)
            limits.check_pixels(width, height)
        if not scans and marker in _JPEG_KEPT:
            kept.append(segment)
    if not scans or scans > _MAX_SCANS:
        raise corrupt("jpeg", f"{scans} scans")
    return Still(width, height, orientation or 1, b"".join(kept))


_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of every chunk before the end chunk; those that matter with their checksum."""
    position = len(_PNG_MAGIC)
    for _ in range(_MAX_BLOCKS):
        name, body_start = data[position + 4 : position + 8], position + 8
        if name in {b"", b"IEND"}:
            return
        body_end = body_start + int.from_bytes(data[position : position + 4], "big")
        position = body_end + 4
        if position > len(data):
            raise corrupt("png", f"chunk {_readable(name)} runs past the end")
        body = data[body_start:body_end]
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
    for name, body in _png_chunks(data):
        if name in bodies:
            bodies[name].append(body)
    # An animated PNG keeps the frames after the first in other chunks, which are left behind.
    packed = [_PNG_MAGIC]
    for name, body in [*((name, b"".join(bodies[name])) for name in _PNG_KEPT), (b"IEND", b"")]:
        if body or name == b"IEND":
            packed += [struct.pack(">I4s", len(body), name), body]
            packed += [struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))]
    exif = bodies[b"eXIf"]
    return Still(width, height, _orientation(exif[0]) if exif else 1, b"".join(packed))


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


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and padded bytes, with their 8 of header, of every chunk."""
    end = int.from_bytes(data[4:8], "little") + 8
    if end > len(data):
        raise corrupt("webp", "it ends early")
    position = 12
    for _ in range(_MAX_BLOCKS):
        if position + 8 > end:
            return
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        following = position + 8 + length + length % 2
        if following > end + 1:
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
    for name, chunk in _webp_chunks(data):
        if name in _WEBP_KEPT:
            kept.setdefault(name, chunk)  # of the frames of an animation (ANMF) the first
        elif name == b"EXIF":
            orientation = _orientation(chunk[8:].removeprefix(b"Exif\0\0"))
    body = b"WEBP" + b"".join(kept.values())
    return Still(width, height, orientation, b"RIFF" + struct.pack("<I", len(body)) + body)


def _gif_blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Kind (of an extension its label) and start of every block up to the first picture."""
    position, inside = _gif_palette_end(data), False
    for _ in range(_MAX_BLOCKS):
        if inside:  # an extension: sub-blocks led by their length, the last of length 0
            length = data[position] if position < len(data) else 0
            position, inside = position + 1 + length, length > 0
            continue
        introducer, label = data[position : position + 1], data[position + 1 : position + 2]
        if introducer == b"," and len(data) >= position + 10:
            yield ord(introducer), position
            return
        if introducer != b"!" or not label:
            raise corrupt("gif", "it holds no picture")
        yield ord(label), position
        position, inside = position + 2, True
    raise corrupt("gif", "too many blocks")


def _gif_palette_end(data: bytes) -> int:
    return 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)


def _read_gif(data: bytes, limits: DecodingLimits) -> Still:
    if len(data) < 13:
        raise corrupt("gif", "it has no header")
    width, height = struct.unpack_from("<HH", data, 6)
    limits.check_pixels(width, height)
    control, picture = b"", len(data)
    for kind, start in _gif_blocks(data):
        picture = start
        if kind == 0xF9:  # graphic control: keep which colour is transparent, nothing else
            block = data[start : start + 8].ljust(8, b"\0")
            control = b"!\xf9\4%c\0\0%c\0" % (block[3] & 1, block[6])
    left, top, across, down = struct.unpack_from("<4H", data, picture + 1)
    width, height = max(width, left + across), max(height, top + down)  # pictures may overhang
    limits.check_pixels(width, height)
    screen = data[:6] + struct.pack("<HH", width, height) + data[10 : _gif_palette_end(data)]
    return Still(width, height, 1, screen + control + data[picture:])


_CONTAINERS = (
    Container("jpeg", lambda data: data[:3] == b"\xff\xd8\xff", _read_jpeg, JpegImageFile),
    Container("png", lambda data: data[:8] == _PNG_MAGIC, _read_png, PngImageFile),
    Container("webp", lambda data: data[:4] + data[8:12] == b"RIFFWEBP", _read_webp, WebPImageFile),
    Container("gif", lambda data: data[:6] in {b"GIF87a", b"GIF89a"}, _read_gif, GifImageFile),
)


def _readable(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace").strip()

"""What a file carries besides its picture: blocks of EXIF, IPTC and XMP, as they lie in it.

Decodes no pixels and reads none of the blocks. Whatever the bytes, the answer is what was found: a
picture that can be shown must not be refused for what is said beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from types import MappingProxyType

from models.images.containers import jpeg_segments, png_chunks, webp_chunks
from models.images.errors import DECODER_ERRORS, ImageError
from models.images.exif import values_of
from models.images.formats import HEAD_BYTES, picture_format
from models.images.further import opened_further

MOST_BYTES = 4_000_000
"""Of a block; a longer one is no list of names and notices, and is left alone."""
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP, _RESOURCE, _IPTC_RESOURCE = b"Photoshop 3.0\0", b"8BIM", 0x0404
_TIFF_XMP, _TIFF_IPTC = 700, 33723
_PNG_XMP = "XML:com.adobe.xmp"
_PNG_KEYWORDS = frozenset({_PNG_XMP, "Title", "Author", "Description", "Copyright"})
"""Texts of a PNG that say whose it is and what it shows; no other is unpacked or kept."""
_PNG_TEXTS = 32
"""So many of them are looked at: one that is empty gives way to a later one of its keyword."""


@dataclass(frozen=True, slots=True)
class Packets:
    """Blocks as they lie in a file, empty where there is none; `texts` are PNG's own, by keyword.

    `exif` begins with its byte order, as a TIFF file does.
    """

    exif: bytes = b""
    iptc: bytes = b""
    xmp: bytes = b""
    texts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def packets_of(data: bytes) -> Packets:
    """The blocks of an image file; of one that is damaged, or of another kind, none."""
    read = _READERS.get(picture_format(data[:HEAD_BYTES]) or "")
    if read is None:
        return Packets()
    try:
        return read(data)
    except (ImageError, ImportError, RuntimeError, Warning, *DECODER_ERRORS):
        return Packets()


def _packets(
    exif: bytes, iptc: bytes, xmp: bytes, texts: Mapping[str, str] = MappingProxyType({})
) -> Packets:
    """The blocks that are no longer than such blocks are; EXIF is read in place, however long."""
    iptc, xmp = (block if len(block) <= MOST_BYTES else b"" for block in (iptc, xmp))
    return Packets(exif, iptc, xmp, texts)


def _of_jpeg(data: bytes) -> Packets:
    exif = xmp = b""
    photoshop: list[bytes] = []
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker == 0xDA:
            break
        if marker == 0xE1 and body.startswith(_EXIF):
            exif = exif or body.removeprefix(_EXIF)
        elif marker == 0xE1 and body.startswith(_XMP):
            xmp = xmp or body.removeprefix(_XMP)
        elif marker == 0xED and body.startswith(_PHOTOSHOP):
            photoshop.append(body.removeprefix(_PHOTOSHOP))
    return _packets(exif, _iptc_of(b"".join(photoshop)), xmp)


def _iptc_of(resources: bytes) -> bytes:
    """IPTC among the resources of Photoshop: a signature, a number, a name, a length, a body.

    Name and body are padded to an even length.
    """
    position = 0
    while resources[position : position + 4] == _RESOURCE:
        number = int.from_bytes(resources[position + 4 : position + 6], "big")
        name = resources[position + 6] if len(resources) > position + 6 else 0
        start = position + 6 + (name + 2 & ~1)
        size = int.from_bytes(resources[start : start + 4], "big")
        body = resources[start + 4 : start + 4 + size]
        if number == _IPTC_RESOURCE:
            return body
        position = start + 4 + size + size % 2
    return b""


def _of_png(data: bytes) -> Packets:
    exif, texts, looked_at = b"", dict[str, str](), 0
    for name, body in png_chunks(data):
        if name == b"eXIf":
            exif = exif or body
        elif name in {b"tEXt", b"zTXt", b"iTXt"}:
            keyword = body.partition(b"\0")[0].decode("latin-1")
            if keyword in _PNG_KEYWORDS and not texts.get(keyword) and looked_at < _PNG_TEXTS:
                texts[keyword] = _png_text(name, body)
                looked_at += 1
    xmp = texts.pop(_PNG_XMP, "")
    return _packets(exif, b"", xmp.encode(), texts)


def _png_text(name: bytes, body: bytes) -> str:
    """The text of a chunk, empty where it cannot be read."""
    rest = body.partition(b"\0")[2]
    if name == b"tEXt":
        return rest[:MOST_BYTES].decode("latin-1")
    if name == b"zTXt":
        return _unpacked(rest[1:]).decode("latin-1")
    packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    return (_unpacked(text) if packed else text[:MOST_BYTES]).decode("utf-8", "replace")


def _unpacked(packed: bytes) -> bytes:
    """The text, or nothing where it is longer than texts are: it may be made to fill the memory."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(packed, MOST_BYTES)
    except zlib.error:
        return b""
    return b"" if unpacking.unconsumed_tail else text


def _of_webp(data: bytes) -> Packets:
    exif = xmp = b""
    for name, chunk in webp_chunks(data):
        if name == b"EXIF":
            exif = exif or chunk[8:].removeprefix(_EXIF)
        elif name == b"XMP ":
            xmp = xmp or chunk[8 : 8 + int.from_bytes(chunk[4:8], "little")]
    return _packets(exif, b"", xmp)


def _of_tiff(data: bytes) -> Packets:
    values = values_of(data, {_TIFF_XMP, _TIFF_IPTC}, longest=MOST_BYTES)
    return _packets(data, values.get(_TIFF_IPTC, b""), values.get(_TIFF_XMP, b""))


def _of_further(name: str, data: bytes) -> Packets:
    with opened_further(name, BytesIO(data)) as opened:
        exif, xmp = (opened.info.get(each) or b"" for each in ("exif", "xmp"))
    return _packets(exif.removeprefix(_EXIF), b"", xmp)


_READERS: dict[str, Callable[[bytes], Packets]] = {
    "jpeg": _of_jpeg,
    "png": _of_png,
    "webp": _of_webp,
    "tiff": _of_tiff,
    "heic": partial(_of_further, "heic"),
    "avif": partial(_of_further, "avif"),
}

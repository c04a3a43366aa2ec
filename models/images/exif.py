"""What an EXIF block says of a picture: which way up it is, and the values of named tags.

Reads the first directory of the block alone; values elsewhere in it, of places and cameras, never.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator

_ORIENTATION = 0x0112
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 129: 1}
"""Bytes of a value by its kind: bytes, ASCII, shorts, longs, undefined, UTF-8."""
_LONGEST = 1 << 16
"""Of a value: a name or a notice; a JPEG's whole block is no longer."""


def orientation_of(tiff: bytes) -> int:
    """The orientation in an EXIF block, 1 (upright) when there is none or it makes no sense."""
    try:
        for order, tag, kind, entry in _entries(tiff):
            if tag == _ORIENTATION and kind in {3, 4}:  # a short by the standard, a long by mistake
                (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the block ends early
        return 1
    return 1


def values_of(tiff: bytes, tags: Collection[int], *, longest: int = _LONGEST) -> dict[int, bytes]:
    """The bytes of these tags, as far as they are there; of a damaged block what comes before.

    A value that is longer than so many bytes is left alone.
    """
    values: dict[int, bytes] = {}
    try:
        for order, tag, kind, entry in _entries(tiff):
            if tag not in tags or tag in values or kind not in _SIZES:
                continue
            count, start = struct.unpack_from(order + "II", tiff, entry + 4)
            size = count * _SIZES[kind]
            if size > longest:
                continue
            value = tiff[entry + 8 : entry + 8 + size] if size <= 4 else tiff[start : start + size]
            if len(value) == size:
                values[tag] = value
    except struct.error:
        return values
    return values


def _entries(tiff: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Byte order, tag, kind and place of each entry; raises struct.error where the block ends."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for number in range(entries):
        entry = start + 2 + 12 * number
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        yield order, tag, kind, entry

"""Which way up a picture is, by its EXIF block; nothing else of the block is read."""

from __future__ import annotations

import struct


def orientation_of(tiff: bytes) -> int:
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

"""Cursors of a listing: opaque, and recognisably ours or not."""

import base64
import binascii
import struct
import zlib

from attribution.catalog.errors import InvalidCursor

_SHAPE = struct.Struct(">qI")


def encode(vector_id: int) -> str:
    """A cursor that stands behind ``vector_id``."""
    packed = _SHAPE.pack(vector_id, _checksum(vector_id))
    return base64.urlsafe_b64encode(packed).decode()


def decode(cursor: str) -> int:
    """The vector id that a cursor stands behind.

    Raises:
        InvalidCursor: this module never made that cursor.
    """
    try:
        vector_id, _ = _SHAPE.unpack(base64.urlsafe_b64decode(cursor))
    except (ValueError, binascii.Error, struct.error):
        raise InvalidCursor from None
    # Base64 has several spellings of the same bytes; only our own is taken.
    if encode(int(vector_id)) != cursor:
        raise InvalidCursor
    return int(vector_id)


def _checksum(vector_id: int) -> int:
    return zlib.crc32(b"sources" + vector_id.to_bytes(8, "big", signed=True))

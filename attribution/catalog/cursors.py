"""Cursors of a listing: recognisably ours or not, and unreadable to whoever passes them back.

A cursor stands for a vector id. Ids are handed out to all collections in turn, so a readable one
would tell a caller how much goes on where it may not look. Hence the cursor is encrypted under the
catalog's secret, in the manner of a synthetic initialisation vector (Rogaway and Shrimpton, 2006):
the tag authenticates the id, and masks it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random
import struct

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.errors import InvalidCursor
from attribution.catalog.schema import secrets

_SHAPE = struct.Struct(">q")
_TAG_BYTES = 10
_SECRET_BYTES = 32
_NAME = "cursors"
_SECRET = sa.select(secrets.c.value).where(secrets.c.name == _NAME)


def make_secret(connection: Connection) -> None:
    """Make the catalog's secret where it has none. Must run in a write transaction."""
    if connection.execute(_SECRET).first() is None:
        value = random.token_bytes(_SECRET_BYTES)
        connection.execute(sa.insert(secrets).values(name=_NAME, value=value))


def secret(connection: Connection) -> bytes:
    """The catalog's secret, which nobody is shown."""
    return bytes(connection.execute(_SECRET).scalar_one())


def encode(vector_id: int, secret: bytes) -> str:
    """A cursor that stands behind `vector_id`, under the catalog's secret."""
    packed = _SHAPE.pack(vector_id)
    tag = _mac(secret, b"tag" + packed)[:_TAG_BYTES]
    return base64.urlsafe_b64encode(tag + _masked(packed, tag, secret)).decode()


def decode(cursor: str, secret: bytes) -> int:
    """The vector id that a cursor stands behind.

    Raises:
        InvalidCursor: this catalog never made that cursor.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor)
        tag, masked = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        (vector_id,) = _SHAPE.unpack(_masked(masked, tag, secret))
    except (ValueError, binascii.Error, struct.error):
        raise InvalidCursor from None
    # Base64 has several spellings of the same bytes; only our own is taken.
    if not hmac.compare_digest(encode(int(vector_id), secret).encode(), cursor.encode()):
        raise InvalidCursor
    return int(vector_id)


def _masked(data: bytes, tag: bytes, secret: bytes) -> bytes:
    mask = _mac(secret, b"mask" + tag)[: _SHAPE.size]
    return bytes(left ^ right for left, right in zip(data, mask, strict=True))


def _mac(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, hashlib.sha256)

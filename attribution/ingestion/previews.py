"""The preview of a source: a small JPEG for thumbnails and for encoders to come."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

LONG_SIDE = 512
_QUALITY = 88


def make_preview(image: Image.Image) -> bytes:
    """JPEG bytes without metadata of an RGB image, its long side at most 512 pixels."""
    preview = image.copy()
    preview.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    preview.info.clear()  # Pillow would write a comment found there
    buffer = BytesIO()
    preview.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()

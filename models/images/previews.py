"""Pictures as small JPEG files, for people and for encoders to come. Knows no source."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

LONG_SIDE = 512
QUALITY = 88


def make_preview(image: Image.Image, long_side: int = LONG_SIDE, quality: int = QUALITY) -> bytes:
    """JPEG bytes without metadata of an RGB image, at most so many pixels on its long side."""
    preview = image.copy()
    preview.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    preview.info.clear()  # Pillow would write a comment found there
    buffer = BytesIO()
    preview.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()

"""The small pictures of a report. Knows no catalog."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from attribution.report.document import Picture
from models.images.previews import make_preview

LONG_SIDE = 256
_QUALITY = 85


def thumbnail_of(image: Image.Image) -> Picture:
    """A JPEG of at most 256 pixels on the long side, without metadata, of an RGB image."""
    data = base64.b64encode(make_preview(image, LONG_SIDE, _QUALITY)).decode("ascii")
    return Picture(media_type="image/jpeg", data=data)


def thumbnail_of_preview(preview: bytes) -> Picture:
    """The same of a preview as the catalog keeps them (JPEG)."""
    with Image.open(BytesIO(preview), formats=["JPEG"]) as image:
        return thumbnail_of(image.convert("RGB"))

"""Pictures that lie on their side or their head."""

from __future__ import annotations

from PIL import Image

from models.images.notes import Turn

_BACK = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def turned_back(image: Image.Image, degrees: Turn) -> Image.Image:
    """A picture that is turned to the left by so many degrees, turned to the right."""
    return image.transpose(_BACK[degrees]) if degrees else image

"""What is looked at of a query: all of it, and the picture that it frames. Encodes nothing."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from models.heads.affine import Domain
from models.images.borders import cut_out
from models.images.decoding import DecodedImage


def looks_at(decoded: DecodedImage, domain: Domain) -> tuple[DecodedImage, tuple[Image.Image, ...]]:
    """One or two pictures to encode, the whole one first, and the image with a note of that.

    A source is looked at whole: it is what is held, frame included.
    """
    cut = cut_out(decoded.image) if domain == "query" else None
    if cut is None:
        return decoded, (decoded.image,)
    picture, note = cut
    return replace(decoded, notes=(*decoded.notes, note)), (decoded.image, picture)

"""Image bytes to RGB pixels: limits first, then as few pixels as the caller needs.

Knows four formats and nothing of encoders, sources or HTTP. A file is read in two steps. First its
container is read here, without decoding: which format, how large, how oriented; and it is repacked
to the first picture alone. Only then does Pillow decode it. Metadata, colour profiles and further
frames therefore never reach Pillow: broken ones cannot fail a good picture, huge ones cannot stall
it, and Pillow has nothing to warn about (warnings could only be silenced for the whole process).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from models.images.containers import Still, container_of
from models.images.errors import DecodingLimits, TooManyPixels, corrupt

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
"""Endings of the files that `decode` reads, in lower case."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright RGB picture and what is known of its file.

    `image` may be reduced; `width` and `height` are those of the original, upright; `format` is
    "jpeg", "png", "webp" or "gif"; `sha256` is the hex digest of the bytes.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    sha256: str


_DEFAULT_LIMITS = DecodingLimits()


def decode(
    data: bytes,
    *,
    limits: DecodingLimits = _DEFAULT_LIMITS,
    target_side: int | None = 512,
) -> DecodedImage:
    """Decode the first picture of a JPEG, PNG, WebP or GIF file to upright RGB on white.

    Args:
        data: the whole file.
        limits: checked before decoding: bytes by their count, pixels from the header.
        target_side: a longer long side is reduced to this, antialiased and for JPEG already while
            decoding; a shorter one is kept. None keeps the full size.

    Raises:
        ImageError: one of its subclasses, whatever the bytes; nothing else.
        ValueError: `target_side` is below 1.
    """
    if target_side is not None and target_side < 1:
        raise ValueError(f"target_side must be at least 1 or None, not {target_side}.")
    limits.check_bytes(len(data))
    container = container_of(data)
    still = container.read(data, limits)
    try:
        image = _pixels(container.opener(BytesIO(still.data)), still, target_side)
    except _BOMBS as error:
        raise TooManyPixels(f"{error} Send the image scaled down.") from error
    except _DECODER_ERRORS as error:
        raise corrupt(container.format, str(error)) from error
    return DecodedImage(
        image=image,
        width=still.height if still.orientation in _SIDEWAYS else still.width,
        height=still.width if still.orientation in _SIDEWAYS else still.height,
        format=container.format,
        sha256=hashlib.sha256(data).hexdigest(),
    )


_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# What Pillow's readers may raise on damaged files; a list, so that no mistake of ours hides in it.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})


def _pixels(opened: ImageFile, still: Still, target_side: int | None) -> Image.Image:
    if opened.size != (still.width, still.height):
        raise ValueError(f"two sizes, {still.width} x {still.height} and {opened.size}")
    image = _on_white(_reduced(opened, target_side))
    if still.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[still.orientation])
    image.info.clear()
    return image


def _reduced(opened: ImageFile, target_side: int | None) -> Image.Image:
    """Decode with the long side at most `target_side`, at least `target_side` if it was."""
    width, height = opened.size
    long_side = max(width, height)
    if target_side is None or long_side <= target_side:
        return _continuous(opened)
    size = (
        max(1, round(width * target_side / long_side)),
        max(1, round(height * target_side / long_side)),
    )
    # Only the JPEG reader has a draft: 1/2, 1/4 or 1/8 of each side, never below the size asked.
    draft = opened.draft(None, size)
    image = _continuous(opened)
    if image.size == size:
        return image
    box = draft[1] if draft else None
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _continuous(image: Image.Image) -> Image.Image:
    """The picture in 8 bits a channel, in a mode whose values may be averaged."""
    if image.mode == "I;16":
        return _eight_bit(image)
    if image.has_transparency_data and image.mode not in {"RGBA", "LA"}:
        return image.convert("RGBA")
    if image.mode in {"P", "1"}:
        return image.convert("RGB" if image.mode == "P" else "L")
    image.load()
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits by its high byte: Pillow's own conversion clips to white."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in {"RGBA", "LA"}:
        return image.convert("RGB")  # a copy, no longer bound to a file
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")

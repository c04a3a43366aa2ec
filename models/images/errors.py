"""Errors of images, which say what to do; what decoders raise; bounds checked before decoding."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import ClassVar

# What Pillow's readers may raise on damaged files; a list, so that no mistake of ours hides in it.
DECODER_ERRORS = (
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


class ImageError(ValueError):
    """An image that cannot be used; `code` is a stable slug, the message says what to do."""

    code: ClassVar[str] = "image-error"


class EmptyImage(ImageError):
    """There are no bytes."""

    code = "empty-image"


class UnsupportedImage(ImageError):
    """The bytes are none of the named formats."""

    code = "unsupported-image"


class CorruptImage(ImageError):
    """The bytes begin like an image but are truncated or damaged."""

    code = "corrupt-image"


class ImageTooLarge(ImageError):
    """The file has too many bytes."""

    code = "image-too-large"


class TooManyPixels(ImageError):
    """The header announces too many pixels."""

    code = "too-many-pixels"


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What is refused before anything is decoded."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000

    def check_bytes(self, count: int) -> None:
        """Raise `EmptyImage` or `ImageTooLarge` for a file of `count` bytes."""
        if count == 0:
            raise EmptyImage("The image is empty: send the bytes of an image file.")
        if count > self.max_bytes:
            raise ImageTooLarge(
                f"The image is larger than {self.max_bytes:,} bytes: send a smaller file."
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raise `TooManyPixels`, or `CorruptImage` for a picture without area."""
        if width < 1 or height < 1:
            raise CorruptImage(
                f"The header says {width} x {height} pixels: export the image again."
            )
        if width * height > self.max_pixels:
            raise TooManyPixels(
                f"The image has {width} x {height} pixels, more than {self.max_pixels:,}: "
                "send it scaled down."
            )


def corrupt(image_format: str, detail: str) -> CorruptImage:
    """The error for damaged data of a known format."""
    return CorruptImage(
        f"The {image_format.upper()} data is truncated or damaged ({detail}): "
        "export or upload the image again."
    )

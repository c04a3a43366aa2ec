"""Image bytes to RGB pixels: limits first, then as few pixels as the caller needs.

Knows four formats and nothing of encoders, sources or HTTP. A file is read in two steps. First its
container is read here, without decoding: which format, how large, how oriented; and it is repacked
to the first picture alone. Only then does Pillow decode it. Metadata, colour profiles and further
frames therefore never reach Pillow: broken ones cannot fail a good picture, huge ones cannot stall
it, and Pillow has nothing to warn about (warnings could only be silenced for the whole process).

What has to be decided for a picture to be seen is decided by the picture alone, so alike for
sources and queries, and noted: the ground behind transparency, the depth of its levels, the frame
that shows something, the end that is missing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from PIL import Image

from models.images.animations import frames_of
from models.images.containers import Container, Still
from models.images.errors import DECODER_ERRORS, DecodingLimits, TooManyPixels, corrupt
from models.images.formats import container_of
from models.images.ground import has_content
from models.images.notes import Note
from models.images.pixels import Seen, frame_with_content, seen_in


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright RGB picture and what is known of its file.

    `image` may be reduced; `width` and `height` are those of the original, upright; `format` is
    "jpeg", "png", "webp" or "gif", with the extra `formats` also "heic", "avif" or "tiff"; `sha256`
    is the hex digest of the bytes; `notes` say what was decided for the picture to be seen.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    sha256: str
    notes: tuple[Note, ...] = ()


DEFAULT_LIMITS = DecodingLimits()


def decode(
    data: bytes,
    *,
    limits: DecodingLimits = DEFAULT_LIMITS,
    target_side: int | None = 512,
) -> DecodedImage:
    """Decode the first picture of a JPEG, PNG, WebP or GIF file to upright RGB.

    Of an animation whose first frame is of one colour, the first frame that is not.

    HEIC, AVIF and TIFF files too, where the extra `formats` is installed.

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
        seen = seen_in(still, container.opener, target_side)
        if not has_content(seen.image):
            seen = _later_frame(container, data, still, limits, target_side) or seen
    except _BOMBS as error:
        raise TooManyPixels(f"{error} Send the image scaled down.") from error
    except DECODER_ERRORS as error:
        raise corrupt(container.format, str(error)) from error
    return DecodedImage(
        image=_upright(seen.image, still.orientation),
        width=still.height if still.orientation in _SIDEWAYS else still.width,
        height=still.width if still.orientation in _SIDEWAYS else still.height,
        format=container.format,
        sha256=hashlib.sha256(data).hexdigest(),
        notes=seen.notes,
    )


def _later_frame(
    container: Container,
    data: bytes,
    still: Still,
    limits: DecodingLimits,
    target_side: int | None,
) -> Seen | None:
    """The first frame with content; None of a file without one, or that is damaged before it."""
    try:
        frames = frames_of(container.format, data)
        return frame_with_content(frames, still, container.opener, limits, target_side)
    except DECODER_ERRORS:  # its first picture is whole, and that is what was asked for
        return None


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    image = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
    image.info.clear()
    return image


_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

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

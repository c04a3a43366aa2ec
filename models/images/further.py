"""HEIC, AVIF and TIFF: formats that only an extra reads. Knows pixels, and no file names.

Their containers are too rich to be read here first, so Pillow and libheif open them as they are;
what comes out is handed on as a plain PNG of the first picture, without metadata, which takes the
same way as every other picture from then on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

from models.images.containers import Container, Still
from models.images.deep import deep_colour, is_deep_colour
from models.images.errors import DECODER_ERRORS, DecodingLimits, ImageError, TooManyPixels, corrupt
from models.images.ground import has_content, on_ground
from models.images.levels import to_eight
from models.images.notes import Note, later_frame

EXTRA = "formats"
# What Pillow says of the tags of a damaged TIFF, beside the pixels or the error that it gives.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
# Tags of TIFF. NewSubfileType is 1 for a small copy of the picture that matters.
_REDUCED, _BITS, _PHOTOMETRIC, _PLANES = 254, 258, 262, 284
_WHITE_IS_0, _APART = 0, 2
_STORED = ("L", "LA", "RGB", "RGBA", "I;16")
_DEEP_GREY = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_PICTURES = 100
"""Of a file whose first ones show nothing, so many are looked at."""
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def installed() -> bool:
    """Whether the extra is there, and can be imported here."""
    try:
        import_module("pillow_heif")
    except ImportError:
        return False
    return True


def further_container(name: str) -> Container | None:
    """How `heic`, `avif` or `tiff` is read; None where the extra is not installed."""
    if not installed():
        return None
    return Container(name, bool, partial(_read, name), PngImageFile)


def opened_further(name: str, file: BytesIO) -> ImageFile:
    """A file of one of these formats, opened for what is said in it; no pixel is decoded.

    Raises:
        ImportError: the extra is not installed.
        Exception: what its reader raises on damaged files.
    """
    return _OPENERS[name](file)


def _read(name: str, data: bytes, limits: DecodingLimits) -> Still:
    """The first picture, upright; where it shows nothing, the first one of the file that does.

    Raises:
        ImageError: whatever the bytes.
    """
    try:
        with _OPENERS[name](BytesIO(data)) as opened:
            image, notes = _shown(_File(name, data, limits, opened))
    except ImageError:
        raise
    except _BOMBS as error:
        raise TooManyPixels(f"{error} Send the image scaled down.") from error
    except _TROUBLE as error:
        raise corrupt(name, str(error) or type(error).__name__) from error
    limits.check_pixels(*image.size)
    written = BytesIO()
    image.save(written, "PNG", compress_level=1)
    return Still(image.width, image.height, 1, written.getvalue(), notes=notes)


def _shown(file: _File) -> tuple[Image.Image, tuple[Note, ...]]:
    first = file.picture(0)
    if has_content(on_ground(first[0])[0]):
        return first
    spent = first[0].width * first[0].height
    for number in range(1, _PICTURES):
        try:
            image, notes = file.picture(number)
        except (*_BOMBS, *_TROUBLE):  # no more of them, or damaged; the first one was whole
            return first
        spent += image.width * image.height
        if spent > file.limits.max_pixels:
            return first
        if has_content(on_ground(image)[0]):
            return image, (later_frame(number + 1), *notes)
    return first


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is open, and its bytes for a second look at one of its pictures."""

    name: str
    data: bytes
    limits: DecodingLimits
    opened: ImageFile

    def picture(self, number: int) -> tuple[Image.Image, tuple[Note, ...]]:
        """One of its pictures, counted from 0, upright and in a mode that PNG has.

        Raises:
            EOFError: it has not so many.
        """
        opened = self._at(number, self.opened)
        tags = getattr(opened, "tag_v2", {})  # of TIFF
        if tags.get(_REDUCED) == 1:
            raise corrupt(self.name, "its first picture is the preview of a raw file")
        if tags.get(_PLANES) == _APART and max(tags.get(_BITS) or (8,)) > 8:
            raise corrupt(self.name, "its colours of more than 8 bits lie apart")
        if is_deep_colour(opened):
            image, note = deep_colour(opened, lambda: self._at(number, self._again()))
        elif opened.mode in _DEEP_GREY and tags.get(_PHOTOMETRIC) == _WHITE_IS_0:
            grey, note = to_eight(np.asarray(opened))
            image = Image.fromarray(255 - grey)
        else:
            image, note = ImageOps.exif_transpose(opened), None
        return _plain(image), () if note is None else (note,)

    def _again(self) -> ImageFile:
        return _OPENERS[self.name](BytesIO(self.data))

    def _at(self, number: int, opened: ImageFile) -> ImageFile:
        opened.seek(number)
        self.limits.check_pixels(*opened.size)
        return opened


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode that PNG has, without anything but its pixels."""
    if image.mode in _DEEP_GREY - {"I;16"}:
        image = Image.fromarray(np.asarray(image).astype(np.uint16))
    elif image.mode in {"I", "F"}:
        image = Image.fromarray(_scaled(np.asarray(image, dtype=np.float64)))
    elif image.mode not in _STORED:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.load()
    image.info.clear()
    return image


def _scaled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Greys of no agreed range, from their darkest to their lightest, as 8 bits."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low or 1.0)
    return np.asarray(scaled * 255).round().astype(np.uint8)


def _heic(file: BytesIO) -> ImageFile:
    opened: ImageFile = import_module("pillow_heif").HeifImageFile(file)  # the extra
    return opened


def _avif(file: BytesIO) -> ImageFile:
    from PIL.AvifImagePlugin import AvifImageFile  # noqa: PLC0415  # part of what the extra reads

    return AvifImageFile(file)


def _tiff(file: BytesIO) -> ImageFile:
    from PIL.TiffImagePlugin import TiffImageFile  # noqa: PLC0415  # part of what the extra reads

    return TiffImageFile(file)


_OPENERS: dict[str, Callable[[BytesIO], ImageFile]] = {"heic": _heic, "avif": _avif, "tiff": _tiff}
# What these readers may raise besides; warnings where they are errors.
_TROUBLE = (*DECODER_ERRORS, RuntimeError, Warning)

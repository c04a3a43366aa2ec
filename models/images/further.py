"""HEIC, AVIF and TIFF: formats that only an extra reads. Knows pixels, and no file names.

Their containers are too rich to be read here first, so Pillow and libheif open them as they are;
what comes out is handed on as a plain PNG of the first picture, without metadata, which takes the
same way as every other picture from then on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

from models.images.containers import Container, Still
from models.images.errors import DECODER_ERRORS, DecodingLimits, ImageError, TooManyPixels, corrupt

EXTRA = "formats"
# What Pillow says of the tags of a damaged TIFF, beside the pixels or the error that it gives.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
_REDUCED = 254  # TIFF tag NewSubfileType: 1 for a small copy of the picture that matters
_STORED = ("L", "LA", "RGB", "RGBA", "I;16")


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec("pillow_heif") is not None


def further_container(name: str) -> Container | None:
    """How `heic`, `avif` or `tiff` is read; None where the extra is not installed."""
    if not installed():
        return None
    return Container(name, bool, partial(_read, name), PngImageFile)


def _read(name: str, data: bytes, limits: DecodingLimits) -> Still:
    """The first picture, upright.

    Raises:
        ImageError: whatever the bytes.
    """
    try:
        with _OPENERS[name](BytesIO(data)) as opened:
            limits.check_pixels(*opened.size)
            if name == "tiff" and opened.tag_v2.get(_REDUCED) == 1:  # type: ignore[attr-defined]
                raise corrupt(name, "its first picture is the preview of a raw file")
            image = _plain(ImageOps.exif_transpose(opened))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{error} Send the image scaled down.") from error
    except _TROUBLE as error:
        raise corrupt(name, str(error) or type(error).__name__) from error
    limits.check_pixels(*image.size)
    written = BytesIO()
    image.save(written, "PNG", compress_level=1)
    return Still(image.width, image.height, 1, written.getvalue())


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode that PNG has, without anything but its pixels."""
    if image.mode in {"I;16B", "I;16L", "I;16N"}:
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

"""International Standard Content Codes (ISO 24138) of what is held of a source. Extra `iscc`.

Similar pictures have similar codes, by which registries of others find them. What is held is a
preview: the units that are made of the file itself, Data- and Instance-Code, need the file.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

_SIDE = 32


@dataclass(frozen=True, slots=True)
class SourceCodes:
    """`content` of the picture, 64 bits; `meta` of the title, None without one."""

    content: str
    meta: str | None


def codes_of(preview: bytes, title: str | None) -> SourceCodes:
    """The codes of a source by its preview and title.

    Raises:
        ImportError: the extra `iscc` is not installed.
        OSError: the preview is damaged.
    """
    try:
        import iscc_core  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ImportError(
            "content codes need the extra `iscc`: pip install 'attribution[iscc]'"
        ) from error
    content = iscc_core.gen_image_code(_pixels(preview), bits=64)["iscc"]
    meta = iscc_core.gen_meta_code(title, bits=64)["iscc"] if title and title.strip() else None
    return SourceCodes(content, meta)


def _pixels(preview: bytes) -> list[int]:
    """1024 levels of grey, row by row, as the standard normalises; borders are not trimmed."""
    with Image.open(io.BytesIO(preview), formats=["JPEG"]) as image:
        small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return [int(level) for level in np.asarray(small).ravel()]

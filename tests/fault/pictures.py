"""Small pictures for tests that send many: every number another one; needs no torch."""

import io

import numpy as np
from PIL import Image


def picture(number: int, size: tuple[int, int] = (48, 36)) -> Image.Image:
    """Soft random colours."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def jpeg(number: int, size: tuple[int, int] = (48, 36)) -> bytes:
    written = io.BytesIO()
    picture(number, size).save(written, "JPEG", quality=85)
    return written.getvalue()

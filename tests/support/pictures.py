"""Pictures that no camera took, each of its own number; knows no torch, which takes seconds."""

import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter


def picture(
    seed: int, size: tuple[int, int] = (96, 72), grid: tuple[int, int] = (9, 12)
) -> Image.Image:
    """Soft random colours, as many as the grid has rows and columns."""
    noise = np.random.default_rng(seed).integers(0, 256, (*grid, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 92) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return written.getvalue()


def png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


@cache
def large_png() -> bytes:
    """Megabytes: more of a body than the service keeps in memory."""
    return png(picture(9, size=(1200, 900)).effect_spread(40))


@cache
def variation(seed: int) -> bytes:
    """What a generator might make of picture `seed`: blurred and laundered."""
    return jpeg(picture(seed).filter(ImageFilter.GaussianBlur(1.5)), quality=60)


def small_jpeg(seed: int, size: tuple[int, int] = (48, 36)) -> bytes:
    """For tests that send many."""
    return jpeg(picture(seed, size, (6, 8)), quality=85)


def draw(folder: Path, seeds: Iterable[int]) -> Path:
    """Write one JPEG a seed into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        picture(seed).save(folder / f"{seed:03d}.jpg", quality=90)
    return folder

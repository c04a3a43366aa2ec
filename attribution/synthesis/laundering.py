"""What happens to a picture on its way round the world, drawn at random. Knows no source.

Meant for the background and for fitting, so it is broad rather than typical: every step has a
chance and a range of its own. The fixed treatments that results are reported for are elsewhere
(`attribution.evaluation.benchmark.treatments`) and are none of these.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

_LARGEST_SIDE = 1024  # pictures that go round the world are scaled down to about this
_LOWEST_QUALITY, _HIGHEST_QUALITY = 30, 90
_SMALLEST_AREA = 0.6
_SMALLEST_SCALE, _LARGEST_SCALE = 0.5, 1.5
_HUE_SHIFT = 0.08  # of the colour circle, either way
_SATURATION = (0.5, 1.5)
_BRIGHTNESS = (0.7, 1.3)
_CONTRAST = (0.7, 1.3)
_LARGEST_BLUR = 0.012  # radius as a share of the short side
_LARGEST_NOISE = 12.0  # standard deviation in steps of 8 bits
_CHANCE = 0.5


def launder(image: Image.Image, *, seed: int) -> Image.Image:
    """A crop, perhaps a mirror image, another scale, other colours, blur or noise, then a JPEG.

    Args:
        image: any mode; it is read as RGB.
        seed: the same seed does the same.

    Returns:
        RGB; 60 to 100 % of the area is kept, at half to one and a half times the scale.
    """
    rng = np.random.default_rng(seed)
    image = image.convert("RGB")  # a copy
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    image = _cropped(image, rng)
    if rng.random() < _CHANCE:
        image = ImageOps.mirror(image)
    image = _rescaled(image, rng)
    if rng.random() < _CHANCE:
        image = _recoloured(image, rng)
    image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(*_BRIGHTNESS)))
    image = ImageEnhance.Contrast(image).enhance(float(rng.uniform(*_CONTRAST)))
    if rng.random() < _CHANCE:
        image = _blurred(image, rng) if rng.random() < _CHANCE else _noisy(image, rng)
    return recompressed(image, int(rng.integers(_LOWEST_QUALITY, _HIGHEST_QUALITY + 1)))


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Saved as a JPEG of this quality and read again."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    with Image.open(written) as opened:
        return opened.convert("RGB")


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part with about the picture's proportions."""
    width, height = image.size
    area, stretch = rng.uniform(_SMALLEST_AREA, 1.0), rng.uniform(-0.1, 0.1)
    across = min(width, max(1, round(width * area**0.5 * np.exp(stretch))))
    down = min(height, max(1, round(height * area**0.5 * np.exp(-stretch))))
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    return image.crop((left, top, left + across, top + down))


def _rescaled(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = float(np.exp(rng.uniform(np.log(_SMALLEST_SCALE), np.log(_LARGEST_SCALE))))
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _recoloured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Hue turned, saturation scaled."""
    hsv = np.asarray(image.convert("HSV")).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + round(256 * rng.uniform(-_HUE_SHIFT, _HUE_SHIFT))) % 256
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(*_SATURATION), 0, 255)
    return Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB")


def _blurred(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    radius = min(image.size) * rng.uniform(0, _LARGEST_BLUR)
    return image.filter(ImageFilter.GaussianBlur(float(radius)))


def _noisy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    noise = rng.normal(0, rng.uniform(1, _LARGEST_NOISE), pixels.shape)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))

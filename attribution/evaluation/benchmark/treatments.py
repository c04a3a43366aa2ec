"""What is done to a query before it is described. Knows no method.

`laundered` is what an uploader does to hide an origin: JPEG 40, a crop of 70 % of the area, a
flip, hue and saturation shift. Training views imitate some of that, so `disguised` draws one of
five treatments that no training view imitates. Figures are compared over time: a change here is a
new condition under a new name. `FAMILIES` are single ways of passing a picture on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from attribution.evaluation.benchmark.cases import Case
from attribution.evaluation.benchmark.families import FAMILIES
from attribution.synthesis.laundering import recompressed

Treatment = Callable[[Image.Image, np.random.Generator], Image.Image]


def laundered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """JPEG 40, a random crop of 70 % of the area, a flip, hue and saturation shift."""
    width, height = image.size
    side = 0.7**0.5
    across, down = max(1, int(width * side)), max(1, int(height * side))
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    image = image.crop((left, top, left + across, top + down))
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    hsv = np.asarray(image.convert("HSV")).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + int(255 * rng.uniform(-0.06, 0.06))) % 256
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.6, 1.4), 0, 255)
    image = Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB")
    return recompressed(image, 40)


def disguised(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One of: rotation; blur and posterising; a frame; a tone curve with a screen; a bar."""
    kind = int(rng.integers(5))
    if kind == 0:
        return image.rotate(
            float(rng.uniform(-12, 12)), Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)
        )
    if kind == 1:
        return ImageOps.posterize(image.filter(ImageFilter.MedianFilter(5)), 4)
    if kind == 2:
        return _framed(image, rng)
    pixels = _screened(image, rng) if kind == 3 else _barred(image, rng)
    return Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))


CONDITIONS: Mapping[str, Treatment] = {
    "clean": lambda image, _: image,
    "laundered": laundered,
    "disguised": disguised,
}
TREATMENTS: Mapping[str, Treatment] = {**CONDITIONS, **FAMILIES}
"""What may be asked for. The conditions are what figures are compared by; the families say why."""


def treated_query(case: Case, number: int, condition: str) -> Image.Image:
    """The pixels that every method sees of a query, seeded by its number, or its case's own."""
    seed = number if case.number is None else case.number
    return TREATMENTS[condition](case.picture.load(), np.random.default_rng(seed))


def treated_queries(
    cases: Sequence[Case], condition: str, *, mirrored: bool = False
) -> Iterator[Image.Image]:
    """Each query under a condition, then mirrored if asked."""
    for number, case in enumerate(cases):
        image = treated_query(case, number, condition)
        yield ImageOps.mirror(image) if mirrored else image


def _framed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    framed = Image.new("RGB", (int(width * 1.25), int(height * 1.25)), colour)
    framed.paste(image, (int(width * 0.1), int(height * 0.1)))
    return framed


def _screened(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """A tone curve, then the pattern of a printer's screen."""
    width, height = image.size
    pixels = np.asarray(image, dtype=np.float64) / 255
    x, y = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
    toned: np.ndarray = pixels ** rng.choice([0.5, 2.0]) + 0.12 * np.sin(1.7 * x) * np.sin(1.7 * y)
    return toned


def _barred(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Blur, a colour cast and a dark bar."""
    height = image.size[1]
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64) / 255
    pixels: np.ndarray = blurred * np.array([1.15, 1.0, 0.8])
    top = int(rng.integers(max(1, height // 2)))
    pixels[top : top + height // 5] *= 0.3
    return pixels

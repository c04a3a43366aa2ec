"""Two images in one frame under a random mask, for judging which region came from which source.

Knows images and seeds, no files and no manifests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

_Field = npt.NDArray[np.float64]

# Bounds on the share of the first image, so that both can be recognised.
_SMALLEST_SHARE, _LARGEST_SHARE = 0.35, 0.65
# Cells of the coarse random field whose scaled-up version draws a smooth border.
_SMOOTH_CELLS = 4


@dataclass(frozen=True, slots=True)
class Collage:
    """A two-image collage and where its pixels came from.

    Attributes:
        image: RGB, (w, h) as PIL says it.
        mask: (h, w) bool, true where the pixel is the first image's.
    """

    image: Image.Image
    mask: npt.NDArray[np.bool_]


def collage(a: Image.Image, b: Image.Image, *, mask_seed: int, size: int = 192) -> Collage:
    """`a` where a random mask is true, `b` elsewhere.

    The mask is a half-plane, an ellipse or a smooth blob, and holds 35 to 65 % of the frame.

    Args:
        a: gives the proportions of the frame.
        b: is scaled and cropped about its centre to fill it.
        mask_seed: the same seed gives the same mask.
        size: long side of the frame in pixels.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"size is the long side in pixels: choose 1 or more, not {size}")
    scale = size / max(a.size)
    width, height = (max(1, round(side * scale)) for side in a.size)
    first = a.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    second = ImageOps.fit(b.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    mask = _mask(height, width, np.random.default_rng(mask_seed))
    mixed = np.where(mask[:, :, None], np.array(first), np.array(second))
    return Collage(Image.fromarray(mixed), mask)


def _mask(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """The lowest part of a random height field, as much of it as the first image shall have."""
    share = rng.uniform(_SMALLEST_SHARE, _LARGEST_SHARE)
    rows, columns = np.mgrid[0:height, 0:width]
    shape = _SHAPES[rng.integers(len(_SHAPES))]
    field = shape((columns + 0.5) / width - 0.5, (rows + 0.5) / height - 0.5, rng)
    mask: npt.NDArray[np.bool_] = field <= np.quantile(field, share)
    return mask


def _half_plane(x: _Field, y: _Field, rng: np.random.Generator) -> _Field:
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray(np.cos(angle) * x + np.sin(angle) * y)


def _ellipse(x: _Field, y: _Field, rng: np.random.Generator) -> _Field:
    centre_x, centre_y = rng.uniform(-0.15, 0.15, size=2)
    return np.asarray((x - centre_x) ** 2 + rng.uniform(0.5, 2.0) * (y - centre_y) ** 2)


def _smooth(x: _Field, _: _Field, rng: np.random.Generator) -> _Field:
    cells = rng.normal(size=(_SMOOTH_CELLS, _SMOOTH_CELLS)).astype(np.float32)
    size = (x.shape[1], x.shape[0])
    return np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC), np.float64)


_SHAPES = (_half_plane, _ellipse, _smooth)

"""Maps as small PNGs that are both read by machines and laid over a picture as they are.

The files are paletted. The number of a pixel's palette entry is its value: 255 times the
similarity in a heat map, the rank of a source in a region map. The palette's colours and opacity
are only how it looks; in a heat map, opacity is the value once more, for decoders that expand the
palette.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.explanation.matching import Map

Colour = tuple[int, int, int]

REGION_COLOURS: tuple[Colour, ...] = (
    # Okabe and Ito's colours for all kinds of eyes, and three more.
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (150, 110, 220), (120, 120, 120), (160, 82, 45),
)  # fmt: skip
REGION_OPACITY = 150
_RAMP: tuple[tuple[float, Colour], ...] = (
    (0.0, (40, 20, 90)),
    (0.35, (150, 40, 110)),
    (0.65, (240, 95, 60)),
    (1.0, (255, 225, 100)),
)


def region_colour(rank: int) -> Colour:
    """The colour of a source in region maps; ranks ten apart share one."""
    return REGION_COLOURS[(rank - 1) % len(REGION_COLOURS)]


def heat_picture(values: Map) -> Image.Image:
    """A `(h, w)` map in [0, 1] as a paletted picture, a pixel a patch."""
    numbers = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    stops, colours = zip(*_RAMP, strict=True)
    channels = [
        np.interp(np.linspace(0, 1, 256), stops, [colour[channel] for colour in colours])
        for channel in range(3)
    ]
    palette = np.stack(channels, axis=1).round().astype(np.uint8)
    return _paletted(numbers, palette, np.arange(256, dtype=np.uint8))


def region_picture(ranks: NDArray[np.uint8]) -> Image.Image:
    """A `(h, w)` map of ranks, 0 for none, as a paletted picture, a pixel a patch."""
    palette = np.zeros((256, 3), np.uint8)
    palette[1:] = [region_colour(rank) for rank in range(1, 256)]
    opacity = np.full(256, REGION_OPACITY, np.uint8)
    opacity[0] = 0
    return _paletted(ranks, palette, opacity)


def png(picture: Image.Image) -> bytes:
    """A paletted picture as a file."""
    written = io.BytesIO()
    picture.save(written, "PNG", transparency=picture.info["transparency"], optimize=False)
    return written.getvalue()


def overlaid(image: Image.Image, picture: Image.Image, *, smooth: bool) -> Image.Image:
    """A map laid over the whole of an image, which shows through.

    Args:
        image: what was mapped.
        picture: of `heat_picture` or `region_picture`.
        smooth: interpolate between patches, as suits a heat map but not ranks.
    """
    resampling = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    tint = picture.convert("RGBA").resize(image.size, resampling)
    if smooth:  # even where it is hottest the image must be seen
        tint.putalpha(tint.getchannel("A").point(lambda opacity: round(0.75 * opacity)))
    return Image.alpha_composite(image.convert("RGBA"), tint).convert("RGB")


def _paletted(
    numbers: NDArray[np.uint8], palette: NDArray[np.uint8], opacity: NDArray[np.uint8]
) -> Image.Image:
    used = int(numbers.max(initial=0)) + 1  # what lies beyond only makes the file larger
    picture = Image.fromarray(numbers)
    picture.putpalette(palette[:used].tobytes(), "RGB")
    picture.info["transparency"] = opacity[:used].tobytes()
    return picture

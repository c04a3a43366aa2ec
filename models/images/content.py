"""Whether a picture shows anything that another could be compared with."""

from __future__ import annotations

import numpy as np
from PIL import Image

from models.images.notes import Note

SIDE = 16
LEAST_CONTRAST = 2.0
"""Of the 6,800 background images of the bundled encoder 7 have less in luminance."""

NO_CONTENT = Note(
    "no-content",
    "It is of one colour, or nearly: there is nothing in it that could be compared.",
)


def contrast(image: Image.Image) -> float:
    """How much a picture varies from place to place, in levels of 0 to 255.

    The largest standard deviation of the three channels of an RGB picture among `SIDE` x `SIDE`
    means. Means over cells of the picture let noise and the traces of lossy coding vanish, which
    are not of the picture; a logo in its middle or a line across it stays.
    """
    cells = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return float(np.asarray(cells, np.float64).std(axis=(0, 1)).max())


def has_nothing_to_compare(image: Image.Image) -> bool:
    """Whether the contrast is below `LEAST_CONTRAST`.

    An encoder says something of every picture. What it says of a black one is where its rounding
    leans to, and the most similar source is then one that happens to lean there too.
    """
    return contrast(image) < LEAST_CONTRAST

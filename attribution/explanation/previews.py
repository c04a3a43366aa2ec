"""The pictures that an explanation compares: the query both ways round, and sources' previews."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from attribution.answer import RankedSource
from attribution.catalog import Catalog, PreviewMissing, SourceNotFound
from models.images.notes import Turn
from models.images.turned import turned_back

logger = logging.getLogger(__name__)

_ENOUGH = 512
"""Long side in pixels beyond which no encoder's patches become finer."""


@dataclass(frozen=True, slots=True, eq=False)
class Previewed:
    """A ranked source and its preview, RGB."""

    ranked: RankedSource
    image: Image.Image


def read_previews(catalog: Catalog, sources: Sequence[RankedSource]) -> tuple[Previewed, ...]:
    """The sources that still have a preview; one deleted since it was ranked is left out."""
    found = []
    for ranked in sources:
        source_id = ranked.source.source_id
        try:
            preview = catalog.preview(source_id)
        except SourceNotFound:
            continue
        except PreviewMissing as error:
            logger.warning("no map of %s: %s", source_id, error)
            continue
        with Image.open(io.BytesIO(preview), formats=["JPEG"]) as image:
            found.append(Previewed(ranked, image.convert("RGB")))
    return tuple(found)


def views_of_query(image: Image.Image, turned: Turn = 0) -> tuple[Image.Image, Image.Image]:
    """The query, small, and its left-right mirror image: a generator or a forger may flip.

    Both set upright where it is turned to the left.
    """
    small = image.copy() if max(image.size) <= _ENOUGH else _reduced(image)
    upright = turned_back(small, turned)
    return upright, ImageOps.mirror(upright)


def _reduced(image: Image.Image) -> Image.Image:
    scale = _ENOUGH / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Averages, as the preview of a source was made; `reducing_gap` keeps 50 megapixels quick.
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)

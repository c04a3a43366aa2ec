"""Is a background image a copy of a source? Judged by pixels, never by the encoder's score.

One copy in twenty background images takes all power away: its best match is perfect, so no true
source can beat it. Dropping by score would instead cut off the very tail that alpha uses.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.catalog import Catalog, CatalogError
from models.background import thumbnail

logger = logging.getLogger(__name__)
Thumbnail = NDArray[np.uint8]
SAME = 0.95  # correlation of 16x16 thumbnails above which two pictures count as one


def is_copy(first: Thumbnail, second: Thumbnail) -> bool:
    """Whether two `(h, w)` thumbnails correlate at least `SAME`, mirrored or not."""
    a, b = _standardised(first), _standardised(second)
    return bool(max((a * b).mean(), (a * b[:, ::-1]).mean()) >= SAME)


class CopyTest:
    """Remembers which background image is a copy of which source.

    Args:
        thumbnails: `(n, 16, 16)` of the background.
        source_thumbnail: vector id to the thumbnail of its source, None where it is gone.
    """

    def __init__(
        self,
        thumbnails: NDArray[np.uint8],
        source_thumbnail: Callable[[int], Thumbnail | None],
    ) -> None:
        self._thumbnails = thumbnails
        self._source_thumbnail = source_thumbnail
        self._known: dict[tuple[int, int], bool] = {}

    def __call__(self, place: int, vector_id: int) -> bool:
        """Whether background image `place` is a copy of source `vector_id`."""
        pair = (place, vector_id)
        if pair not in self._known:
            other = self._source_thumbnail(vector_id)
            if other is None:
                return False
            self._known[pair] = is_copy(self._thumbnails[place], other)
        return self._known[pair]


def thumbnails_of(catalog: Catalog) -> Callable[[int], Thumbnail | None]:
    """Thumbnails of sources, made from their previews."""

    def read(vector_id: int) -> Thumbnail | None:
        source = catalog.by_vector_ids([vector_id]).get(vector_id)
        if source is None:
            return None
        try:
            with Image.open(io.BytesIO(catalog.preview(source.source_id)), formats=["JPEG"]) as im:
                im.draft("L", (64, 64))
                return thumbnail(im)
        except (CatalogError, OSError) as error:
            logger.warning("no thumbnail of source %s: %s", source.source_id, error)
            return None

    return read


def _standardised(values: Thumbnail) -> NDArray[np.float64]:
    centred = values.astype(np.float64) - values.mean()
    deviation = centred.std()
    return centred / deviation if deviation > 0 else np.zeros_like(centred)

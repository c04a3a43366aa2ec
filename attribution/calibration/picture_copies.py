"""Is a background image a copy of a source? Judged by pixels, never by the encoder's score.

One copy in twenty background images takes all power away: its best match is perfect, so no true
source can beat it. Dropping by score would instead cut off the very tail that alpha uses.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.catalog import Catalog, CatalogError, Source
from models.background import thumbnail

logger = logging.getLogger(__name__)
Thumbnail = NDArray[np.uint8]
Thumbnails = NDArray[np.uint8]
OfSources = Callable[[Sequence[int]], Mapping[int, Thumbnail]]
"""Vector ids to the thumbnails of their sources; those that are gone are left out."""
_BLOCK = 512  # pairs compared at once: 1 MB of numbers a side
SAME = 0.95  # correlation of 16x16 thumbnails above which two pictures count as one


def is_copy(first: Thumbnail, second: Thumbnail) -> bool:
    """Whether two `(h, w)` thumbnails correlate at least `SAME`, mirrored or not."""
    return bool(are_copies(first[None], second[None])[0])


def are_copies(first: Thumbnails, second: Thumbnails) -> NDArray[np.bool_]:
    """`(n,)` whether thumbnails `(n, h, w)` correlate at least `SAME`, pair by pair."""
    a, b = _standardised(first), _standardised(second)
    straight, mirrored = (a * b).mean(axis=(1, 2)), (a * b[:, :, ::-1]).mean(axis=(1, 2))
    return np.asarray(np.maximum(straight, mirrored) >= SAME, dtype=np.bool_)


class CopyTest:
    """Remembers which background image is a copy of the source it matches best.

    Args:
        thumbnails: `(n, 16, 16)` of the background.
        of_sources: gives the thumbnails of sources.
    """

    def __init__(self, thumbnails: NDArray[np.uint8], of_sources: OfSources) -> None:
        self._thumbnails = thumbnails
        self._of_sources = of_sources
        self._tested_against = np.full(len(thumbnails), -1, np.int64)
        self._copies = np.zeros(len(thumbnails), dtype=bool)

    def resume(self, best: NDArray[np.int64], copies: NDArray[np.bool_]) -> None:
        """Go on from what an earlier test found, given the best matches that it was called with."""
        self._tested_against, self._copies = best.copy(), copies.copy()

    @property
    def found(self) -> NDArray[np.bool_]:
        """`(n,)` what the last call found."""
        return self._copies.copy()

    def __call__(self, best: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which background images are copies of their best match.

        Only pairs that are new since the last call are compared.

        Args:
            best: `(n,)` vector id of each image's best match, -1 where there is none.
        """
        new = np.flatnonzero(best != self._tested_against)
        matched = np.unique(best[new])
        sources = self._of_sources(matched[matched >= 0].tolist())
        self._copies[new] = False
        held = [place for place in new.tolist() if int(best[place]) in sources]
        for start in range(0, len(held), _BLOCK):
            places = held[start : start + _BLOCK]
            others = np.stack([sources[int(best[place])] for place in places])
            self._copies[places] = are_copies(self._thumbnails[places], others)
        self._tested_against[new] = best[new]
        return self._copies.copy()


def preview_thumbnail(catalog: Catalog, source: Source) -> Thumbnail:
    """Thumbnail of a source, made from its preview.

    Raises:
        CatalogError: the catalog has no preview.
        OSError: it cannot be read.
    """
    with Image.open(io.BytesIO(catalog.preview(source.source_id)), formats=["JPEG"]) as image:
        image.draft("L", (64, 64))
        return thumbnail(image)


def thumbnails_of(catalog: Catalog) -> OfSources:
    """Thumbnails of sources, made from their previews."""

    def read(vector_ids: Sequence[int]) -> dict[int, Thumbnail]:
        found: dict[int, Thumbnail] = {}
        try:
            sources = catalog.by_vector_ids(vector_ids) if vector_ids else {}
        except CatalogError as error:
            logger.warning("no thumbnails of %d vectors: %s", len(vector_ids), error)
            return found
        for vector_id, source in sources.items():
            try:
                found[vector_id] = preview_thumbnail(catalog, source)
            except (CatalogError, OSError) as error:
                logger.warning("no thumbnail of vector %d: %s", vector_id, error)
        return found

    return read


def _standardised(values: Thumbnails) -> NDArray[np.float64]:
    """Each of `(n, h, w)` by its own mean and deviation; zeros where all its pixels are one."""
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    deviation = centred.std(axis=(1, 2), keepdims=True)
    standardised: NDArray[np.float64] = np.divide(
        centred, deviation, out=np.zeros_like(centred), where=deviation > 0
    )
    return standardised

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
Pictures = NDArray[np.uint8] | NDArray[np.float64]
OfSources = Callable[[Sequence[int]], Mapping[int, Thumbnail]]
"""Vector ids to the thumbnails of their sources; those that are gone are left out."""
_UNTESTED = -2  # no vector id, and not the -1 of an image that matches nothing
_BLOCK = 512  # pairs compared at once: 1 MB of numbers a side
SAME_LIGHT = 0.9
"""Correlation of the lightness of 16x16 thumbnails that copies have at least."""
SAME_EDGES = 0.6
"""Correlation of the differences between neighbouring pixels that they have besides."""


def is_copy(first: Thumbnail, second: Thumbnail) -> bool:
    """Whether two `(h, w)` thumbnails show one picture; see `are_copies`."""
    return bool(are_copies(first[None], second[None])[0])


def are_copies(
    first: Pictures, second: Pictures, *, light: float = SAME_LIGHT, edges: float = SAME_EDGES
) -> NDArray[np.bool_]:
    """Which of two stacks of small grey pictures show one picture, mirrored or not.

    Lightness and the differences between neighbours both have to correlate: dark things on white
    have the first in common. With the thresholds of thumbnails 20 of 200 million pairs of unrelated
    images count as copies, and of 400 images each that were saved as JPEG 20, blurred, put in grey,
    paled or darkened all; of those tilted by 2 degrees .91, cut by 5 % .76, cut by 10 % .10.

    Args:
        first: `(n, h, w)` lightness, in any unit.
        second: `(n, h, w)`, compared with the first pair by pair.
        light: least correlation of lightness.
        edges: least correlation of differences between neighbours.

    Returns:
        `(n,)`.
    """
    own, own_differences = _flat(first), _differences(first)
    found = np.zeros(len(first), np.bool_)
    for other in (second, second[:, :, ::-1]):
        same_light = _correlations(own, _flat(other)) >= light
        same_edges = _correlations(own_differences, _differences(other)) >= edges
        found |= same_light & same_edges
    return found


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

    def resume(
        self, best: NDArray[np.int64], copies: NDArray[np.bool_], untested: NDArray[np.bool_]
    ) -> None:
        """Go on from what an earlier test found, given the best matches that it was called with."""
        self._tested_against, self._copies = np.where(untested, _UNTESTED, best), copies.copy()

    @property
    def found(self) -> NDArray[np.bool_]:
        """`(n,)` what the last call found."""
        return self._copies.copy()

    @property
    def untested(self) -> NDArray[np.bool_]:
        """`(n,)` whose best match could not be had at the last call; the next one tries again."""
        return np.asarray(self._tested_against == _UNTESTED)

    def __call__(self, best: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which background images are copies of their best match.

        Only pairs that have not been compared before are; a match that cannot be had is none.

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
        self._tested_against[new] = np.where(best[new] < 0, best[new], _UNTESTED)
        self._tested_against[held] = best[held]
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


def _flat(pictures: Pictures) -> NDArray[np.float64]:
    return pictures.reshape(len(pictures), -1).astype(np.float64)


def _differences(pictures: Pictures) -> NDArray[np.float64]:
    """`(n, 2hw - h - w)` between neighbours, across and down."""
    values = pictures.astype(np.float64)  # bytes would wrap around
    return np.concatenate([_flat(np.diff(values, axis=axis)) for axis in (2, 1)], axis=1)


def _correlations(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(n,)` of the rows of two `(n, k)`; 0 where one does not vary."""
    a = first - first.mean(axis=1, keepdims=True)
    b = second - second.mean(axis=1, keepdims=True)
    unit = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    found: NDArray[np.float64] = np.divide(
        (a * b).sum(axis=1), unit, out=np.zeros(len(a)), where=unit > 0
    )
    return found

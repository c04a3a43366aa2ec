"""What a score rests on: what it loses when a part of the query is blurred.

Occlusion (Zeiler and Fergus, ECCV 2014) asks the very score that ranks, so it is true of any
encoder and of all that is done to its rows. Gradients of the score times the input were no better
than chance here (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.explanation.matching import Map
from attribution.explanation.previews import views_of_query
from models.images.borders import content_box
from models.images.decoding import DecodedImage
from models.images.notes import FRAMED, Turn
from models.images.turned import turned_back

CELLS = 8
"""Parts of a query in a row and in a column."""
VARIANTS = 1 + CELLS**2
"""Pictures of one look at a query: as it is, and with each part blurred, row by row."""
Scores = NDArray[np.float32]
_NOTHING = 1e-6  # what rounding alone may cost
_LEFT = 4
"""Pixels a side that a blurred picture is enlarged from: colours stay about where they were."""


def variants_of_query(query: DecodedImage, turned: Turn = 0) -> list[Image.Image]:
    """Small variants of a query, then of the picture that it frames, which was searched for too.

    Args:
        query: with what its notes say of it.
        turned: degrees to the left by which it is turned against what was found; then that, set
            upright, follows as well.

    Returns:
        `VARIANTS` pictures, twice or three times as many.
    """
    small, _ = views_of_query(query.image)
    inside = variants = occluded(small)
    looks = [variants]
    box = content_box(query.image) if any(each.code == FRAMED for each in query.notes) else None
    if box is not None:
        across, down = small.width / query.image.width, small.height / query.image.height
        left, top, right, bottom = box
        frame = (
            round(left * across), round(top * down), round(right * across), round(bottom * down),
        )  # fmt: skip
        inside = [each.crop(frame) for each in variants]
        looks.append(inside)
    if turned:
        looks.append([turned_back(each, turned) for each in inside])
    return list(chain.from_iterable(looks))


def occluded(image: Image.Image) -> list[Image.Image]:
    """`VARIANTS` pictures: an RGB picture as it is, and with each part blurred, row by row."""
    return [image, *blurred(image, [[part] for part in range(CELLS**2)])]


def blurred(image: Image.Image, parts: Iterable[Iterable[int]]) -> list[Image.Image]:
    """An RGB picture with these parts of it blurred, once for each of them; row by row from 0."""
    colours = image.resize((_LEFT, _LEFT), Image.Resampling.BOX)
    smooth = colours.resize(image.size, Image.Resampling.BILINEAR)
    rows, columns = _cuts(image.height), _cuts(image.width)
    variants = []
    for some in parts:
        variant = image.copy()
        for part in some:
            (top, bottom), (left, right) = rows[part // CELLS], columns[part % CELLS]
            variant.paste(smooth.crop((left, top, right, bottom)), (left, top))
        variants.append(variant)
    return variants


def evidence(scores: Scores) -> tuple[Map, ...]:
    """How much of the score of each source every part of a query bears.

    The values of all sources are on one scale: 1 is the part whose blurring costs most.

    Args:
        scores: `(VARIANTS, n)`, or a multiple, of `variants_of_query` with each source; -inf of
            one that is gone.

    Returns:
        For each source `(CELLS, CELLS)` float32 in [0, 1]; all 0 of one that is gone.
    """
    looks = scores.reshape(-1, VARIANTS, scores.shape[1]).max(axis=0)
    looks[:, ~np.isfinite(looks[0])] = 0.0
    lost = (looks[0] - looks[1:]).clip(min=0)
    scaled: NDArray[np.float32] = (lost / max(lost.max(initial=0.0), _NOTHING)).astype(np.float32)
    return tuple(scaled.T.reshape(-1, CELLS, CELLS))


def _cuts(side: int) -> list[tuple[int, int]]:
    """Where the parts of a side begin and end; those of fewer pixels than parts are empty."""
    return list(pairwise(round(number * side / CELLS) for number in range(CELLS + 1)))

"""The null as it is kept beside the index, so that no start scores the background again.

What is kept is what the background's images have found: their nearest sources, which of those show
one picture, which images are copies of sources; and what depends on encoder and background alone.
All of it belongs to one background under one rule and to one generation, from where it is followed
like the index itself. Knows no file.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attribution.calibration import groups, picture_copies
from attribution.calibration.by_parts import STATISTIC
from attribution.calibration.neighbours import Found
from attribution.calibration.nulls import FollowedNull, KeptNull, ScoredBackground
from attribution.calibration.reference import Typical
from attribution.calibration.statistic import DEPTH, NEIGHBOURS
from attribution.catalog import Catalog
from attribution.index import Companion, Hits, Index, missed_changes
from models.background import Background

logger = logging.getLogger(__name__)

_FORMAT = 3
_SHAPES = {"ids": DEPTH, "scores": DEPTH, "parts": DEPTH, "groups": DEPTH,
           "nearest_parts": None, "features": None, "copies": None}  # fmt: skip
_FEWEST, _MOST, _SHARE = 1_000, 20_000, 4
"""Changes that are followed whatever is held, at most, and as a part of what is held. Up to about
half of the sources following is quicker than building; rows of what is followed are in memory."""


def null_owner(background: Background) -> Mapping[str, str | int | float]:
    """Whose null it is: another background's, or one by another rule, is as good as none."""
    return {
        "what": "null",
        "format": _FORMAT,
        "background": null_id(background),
        "thumbnails": hashlib.sha256(background.thumbnails.tobytes()).hexdigest()[:12],
        "depth": DEPTH,
        "neighbours": NEIGHBOURS,
        "same_row": groups.SAME,
        "same_light": picture_copies.SAME_LIGHT,
        "same_edges": picture_copies.SAME_EDGES,
    }


def kept_null(
    followed: FollowedNull,
    scored: ScoredBackground,
    owner: Mapping[str, str | int | float],
) -> Companion:
    """A settled null, as arrays that do not change any more."""
    neighbours = followed.neighbours
    arrays: dict[str, NDArray[Any]] = {
        "ids": neighbours.hits.ids,
        "scores": neighbours.hits.scores,
        "parts": neighbours.parts,
        "groups": neighbours.groups,
        "copies": followed.copies.found,
        "untested": followed.copies.untested,
        "nearest_parts": scored.nearest_parts,
        "features": scored.features,
        **scored.reference.typical.arrays(),
    }
    return Companion(owner, followed.generation, arrays)


def resumed_null(
    kept: Companion, scored: ScoredBackground, index: Index, catalog: Catalog
) -> FollowedNull | None:
    """The null that was kept, brought to the index's generation but not settled.

    None where it is not worth while: it is ahead of the index, or too much has changed since.
    """
    arrays = kept.arrays
    if not _fits(kept, len(scored)) or kept.generation > index.generation:
        logger.info("the null that was kept is of another shape or time; it is built anew")
        return None
    most = min(_MOST, max(_FEWEST, index.stats().vectors // _SHARE))
    missed = missed_changes(catalog, index, kept.generation, most=most)
    if missed is None:
        logger.info("more than %d changes since the null was kept; it is built anew", most)
        return None
    scored.nearest_parts, scored.features = arrays["nearest_parts"], arrays["features"]
    scored.reference.typical = Typical.of_arrays(arrays)
    hits = Hits(arrays["ids"], arrays["scores"])
    found = Found(hits, arrays["parts"], arrays["groups"], kept.generation)
    copies = arrays["copies"]
    untested = arrays.get("untested", np.zeros_like(copies))  # older ones have none
    followed = FollowedNull(scored, index, kept=KeptNull(found, copies, untested))
    followed.apply(missed)
    return followed


def _fits(kept: Companion, images: int) -> bool:
    return all(
        name in kept.arrays
        and len(kept.arrays[name]) == images
        and (width is None or kept.arrays[name].shape[1:2] == (width,))
        for name, width in _SHAPES.items()
    )


def null_id(background: Background) -> str:
    """What a null is made of: a short digest of the background, and the name of the statistic."""
    return f"{background.digest[:12]}.{STATISTIC}"

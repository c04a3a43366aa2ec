"""The maps of one answer: where it resembles which source. Knows no encoder and no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attribution.answer import Attribution, RankedSource
from attribution.explanation.matching import Map, Vectors, comparable, match
from models.images.notes import Turn
from models.parts import Part

LARGEST_COUNT = 10
"""Sources explained at most."""
COUNT_UNATTRIBUTED = 3
"""Sources explained where none is attributed."""
MATCHING = 0.3
"""Similarity from which a patch of the query counts as coming from a source.

Measured on composites of images unseen in training: half of the patches that come from a source
have .54 or more, three quarters of those that do not have .15 or less (docs/method.md).
"""


@dataclass(frozen=True, slots=True, eq=False)
class SourceMaps:
    """Where the query resembles one source, and where that source resembles the query.

    Attributes:
        rank: of the source in the answer.
        source_id: its id.
        query: `(h, w)` float32 in [0, 1], over the query.
        source: `(h, w)` float32 in [0, 1], over the source.
        evidence: float32 in [0, 1], over the query: how much of the score rests on each part; see
            `occlusion.evidence`. None where that was not looked at.
    """

    rank: int
    source_id: str
    query: Map
    source: Map
    evidence: Map | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """The part of the query that is assigned to one attributed source.

    Attributes:
        rank: of the source in the answer.
        source_id: its id.
        fraction: of the query's area.
    """

    rank: int
    source_id: str
    fraction: float


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where the query of one answer resembles its sources.

    Attributes:
        sources: maps by rank; a source without a preview has none.
        region_map: `(h, w)` uint8, the rank of the attributed source that each patch of the query
            is assigned to, or 0 for none of them.
        regions: one for each attributed source that has maps, by rank.
        none_fraction: of the query's area that is assigned to no source.
    """

    sources: tuple[SourceMaps, ...]
    region_map: NDArray[np.uint8]
    regions: tuple[Region, ...]
    none_fraction: float

    def turned(self, degrees: Turn) -> Explanation:
        """What was drawn of a query set upright, over the query that is turned to the left.

        Evidence is of the query as it is, and stays.
        """
        quarters = degrees // 90
        sources = tuple(
            replace(each, query=np.ascontiguousarray(np.rot90(each.query, quarters)))
            for each in self.sources
        )
        regions = np.ascontiguousarray(np.rot90(self.region_map, quarters))
        return replace(self, sources=sources, region_map=regions)


def sources_to_explain(attribution: Attribution) -> tuple[RankedSource, ...]:
    """The attributed sources, at most ten; the first three where none is attributed."""
    attributed = [ranked for ranked in attribution.sources if ranked.attributed]
    return tuple(attributed[:LARGEST_COUNT]) or attribution.sources[:COUNT_UNATTRIBUTED]


def explain(
    views: Vectors,
    sources: Sequence[RankedSource],
    patches: Vectors,
    blocks: Sequence[Part],
    evidence: Sequence[Map] | None = None,
) -> Explanation:
    """Draw the maps of one answer.

    Vectors are whitened over the query and these sources, so a map depends a little on which
    others are explained with it.

    Args:
        views: `(2, h, w, d)` patch vectors of the query and of its mirror image.
        sources: what to explain, in order of rank.
        patches: `(n, h, w, d)` patch vectors of their previews, in the same order.
        blocks: the encoder's `patch_blocks`.
        evidence: of each source, in the same order.
    """
    vectors = comparable(np.concatenate([views, patches]), blocks)
    maps = []
    bearing: Sequence[Map | None] = [None] * len(sources) if evidence is None else evidence
    for ranked, source, borne in zip(sources, vectors[2:], bearing, strict=True):
        found, source_id = match(vectors[:2], source), ranked.source.source_id
        maps.append(SourceMaps(ranked.rank, source_id, found.query, found.source, borne))
    attributed = [each for each, ranked in zip(maps, sources, strict=True) if ranked.attributed]
    region_map = assigned([each.query for each in attributed], views.shape[1:3])
    ranks = np.array([0, *(each.rank for each in attributed)], np.uint8)[region_map]
    return Explanation(
        sources=tuple(maps),
        region_map=ranks,
        regions=tuple(
            Region(each.rank, each.source_id, float((ranks == each.rank).mean()))
            for each in attributed
        ),
        none_fraction=float((ranks == 0).mean()),
    )


def assigned(
    maps: Sequence[Map], shape: tuple[int, ...], level: float = MATCHING
) -> NDArray[np.intp]:
    """Number, from 1, of the map that is largest at each patch; 0 where none reaches `level`.

    Of equal maps the first wins.
    """
    if not maps:
        return np.zeros(shape, np.intp)
    stacked = np.stack(maps)
    best: NDArray[np.intp] = np.where(stacked.max(axis=0) >= level, stacked.argmax(axis=0) + 1, 0)
    return best

"""What the picture of an explanation shows: found in this process, or by a service next door.

A service's maps are PNGs whose palette has as many steps as the picture's own, so the picture is
the same.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.cli.asked import Asked
from app.cli.explain.picture import ShownSource
from app.cli.neighbour import Neighbour
from app.cli.wording import Decided, Named, source_name
from app.inference.upload import decoding_limits
from app.schemas.attribution import AttributionDocument
from app.schemas.explanation import RegionMap
from app.settings import Settings
from attribution.explanation import Explanation, Region, SourceMaps
from models.images.decoding import decode

_PREVIEW_SIDE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An image, what was decided of it, and where it resembles its sources, each as it is shown."""

    query: Image.Image
    answer: Decided
    explanation: Explanation
    rows: Sequence[ShownSource]


class _Source(Named, Protocol):
    @property
    def creator(self) -> str | None:
        """Who made it."""

    @property
    def licence(self) -> str | None:
        """How it may be used."""


class _Ranked(Protocol):
    @property
    def p_value(self) -> float | None:
        """Of its score."""

    @property
    def share(self) -> float:
        """Of the credit."""

    @property
    def attributed(self) -> bool:
        """Whether the image is attributed to it."""


def found_here(settings: Settings, asked: Asked, image: Path) -> Found:
    """The explanation that this process makes.

    Raises:
        ImageError, OSError, CollectionNotFound, AlphaTooSmall: see `Asking.ask_one`.
    """
    from app.cli.asking import open_for_asking, question_of  # torch: seconds

    with open_for_asking(settings, question_of(asked)) as asking:
        answered = asking.ask_one(image)
        explanation, previewed = asking.explain(answered)
    areas = _areas(explanation)
    rows = [
        _shown(maps, each.image, each.ranked, each.ranked.source, areas.get(maps.rank))
        for maps, each in zip(explanation.sources, previewed, strict=True)
    ]
    return Found(answered.query.image, answered.attribution, explanation, rows)


def found_next_door(
    neighbour: Neighbour, settings: Settings, asked: Asked, image: Path
) -> Found | None:
    """The explanation that a service gives; None where it does not give all of it.

    Raises:
        ImageError, OSError: the image cannot be read, whoever answers.
    """
    limits = decoding_limits(settings)
    answer = neighbour.attribute(image, asked, AttributionDocument, limits.max_bytes, explain=True)
    if answer is None or answer.region_map is None:
        return None
    query = decode(image.read_bytes(), limits=limits).image
    drawn = [(ranked, ranked.heatmap) for ranked in answer.sources if ranked.heatmap is not None]
    maps = [
        SourceMaps(
            ranked.rank,
            ranked.source_id,
            _values(heat.query),
            _values(heat.source),
            None if heat.evidence is None else _values(heat.evidence),
        )
        for ranked, heat in drawn
    ]
    explanation = _explanation(maps, answer.region_map)
    areas, rows = _areas(explanation), []
    for each, (ranked, _) in zip(maps, drawn, strict=True):
        preview = neighbour.thumbnail(ranked.source_id, _PREVIEW_SIDE)
        if preview is None:
            return None
        with Image.open(io.BytesIO(preview), formats=["JPEG"]) as opened:
            picture = opened.convert("RGB")
        rows.append(_shown(each, picture, ranked, ranked, areas.get(each.rank)))
    return Found(query, answer, explanation, rows)


def _explanation(maps: Sequence[SourceMaps], drawn: RegionMap) -> Explanation:
    regions = tuple(Region(each.rank, each.source_id, each.fraction) for each in drawn.regions)
    return Explanation(tuple(maps), _indices(drawn.png), regions, drawn.none_fraction)


def _values(png: str) -> NDArray[np.float32]:
    return _indices(png).astype(np.float32) / np.float32(255)


def _indices(png: str) -> NDArray[np.uint8]:
    """Places in the palette, which are the values."""
    with Image.open(io.BytesIO(base64.b64decode(png)), formats=["PNG"]) as picture:
        return np.asarray(picture, dtype=np.uint8)


def _areas(explanation: Explanation) -> dict[int, float]:
    return {each.rank: each.fraction for each in explanation.regions}


def _shown(
    maps: SourceMaps,
    preview: Image.Image,
    ranked: _Ranked,
    source: _Source,
    area: float | None,
) -> ShownSource:
    credit = ", ".join(filter(None, (source.creator, source.licence)))
    chance = "no p-value" if ranked.p_value is None else f"p = {ranked.p_value:.2g}"
    said = "attributed" if ranked.attributed else "not attributed: shown for comparison only"
    covered = "" if area is None else f"{area:.0%} of the image resembles it most"
    figures = f"{chance}, share {ranked.share:.1%}"
    lines = tuple(filter(None, (credit, said, figures, covered)))
    return ShownSource(maps, preview, source_name(source), lines)

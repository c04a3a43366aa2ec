"""The maps of an answer: where the image resembles which source."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

if TYPE_CHECKING:  # whoever only reads documents needs no network
    from app.answers import Explained


class HeatMap(BaseModel):
    """Where the image resembles one source, and what of it bears the source's score.

    Paletted PNGs in base64, a pixel a patch, over the whole picture whatever its proportions: scale
    them to the picture. A pixel's palette entry is its value, 255 times what it says; in `query`
    and `source` that is the similarity: 0 nothing in common, 255 alike. Its opacity is the value
    again, so the picture can be overlaid as it is.
    """

    width: int = Field(description="Patches across.")
    height: int = Field(description="Patches down.")
    query: str = Field(description="Over the image asked about: what of it is in the source.")
    source: str = Field(description="Over the source: what of it is in the image asked about.")
    evidence: str | None = Field(
        default=None,
        description="Over the image asked about, of its own size: what the score falls by when a "
        "part is blurred. 255 is the part that costs most, of all sources with a heat map: the "
        "scale is theirs in common.",
    )

    @classmethod
    def of_sources(cls, explained: Explained) -> dict[int, HeatMap]:
        """Of each source explained, by rank."""
        height, width = explained.explanation.region_map.shape
        return {
            rank: cls(
                width=width,
                height=height,
                query=_base64(drawn.query),
                source=_base64(drawn.source),
                evidence=None if drawn.evidence is None else _base64(drawn.evidence),
            )
            for rank, drawn in explained.heat.items()
        }


class Region(BaseModel):
    """The part of the image that is assigned to one attributed source."""

    rank: int
    source_id: str
    fraction: float = Field(description="Of the image's area.")


class RegionMap(BaseModel):
    """Which attributed source each patch of the image resembles most, or none of them.

    A paletted PNG in base64, a pixel a patch; the palette entry is the rank of a source, 0 none.
    """

    width: int = Field(description="Patches across.")
    height: int = Field(description="Patches down.")
    png: str
    regions: list[Region] = Field(description="One for each attributed source with a heat map.")
    none_fraction: float = Field(description="Of the image's area, assigned to no source.")

    @classmethod
    def of(cls, explained: Explained) -> RegionMap:
        """Of an answer that was explained."""
        explanation = explained.explanation
        height, width = explanation.region_map.shape
        return cls(
            width=width,
            height=height,
            png=_base64(explained.regions),
            regions=[
                Region(rank=each.rank, source_id=each.source_id, fraction=each.fraction)
                for each in explanation.regions
            ],
            none_fraction=explanation.none_fraction,
        )


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")

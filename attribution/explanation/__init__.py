"""Where an image resembles its sources: heat maps, and which region came from which source."""

from __future__ import annotations

from attribution.explanation.explanation import (
    Explanation,
    Region,
    SourceMaps,
    explain,
    sources_to_explain,
)
from attribution.explanation.occlusion import evidence, variants_of_query
from attribution.explanation.previews import Previewed, read_previews, views_of_query

__all__ = [
    "Explanation",
    "Previewed",
    "Region",
    "SourceMaps",
    "evidence",
    "explain",
    "read_previews",
    "sources_to_explain",
    "variants_of_query",
    "views_of_query",
]

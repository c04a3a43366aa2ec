"""Writes the maps of an explanation as the API's documents."""

from __future__ import annotations

import base64

from PIL import Image

from app.schemas.attribution import HeatMap, Region, RegionMap
from attribution.explanation import Explanation, SourceMaps
from attribution.explanation.pictures import heat_picture, png, region_picture


def heat_map_document(maps: SourceMaps) -> HeatMap:
    """The heat maps of one source as the API shows them."""
    height, width = maps.query.shape
    return HeatMap(
        width=width,
        height=height,
        query=_base64(heat_picture(maps.query)),
        source=_base64(heat_picture(maps.source)),
    )


def region_map_document(explanation: Explanation) -> RegionMap:
    """The map of regions as the API shows it."""
    height, width = explanation.region_map.shape
    return RegionMap(
        width=width,
        height=height,
        png=_base64(region_picture(explanation.region_map)),
        regions=[
            Region(rank=each.rank, source_id=each.source_id, fraction=each.fraction)
            for each in explanation.regions
        ],
        none_fraction=explanation.none_fraction,
    )


def _base64(picture: Image.Image) -> str:
    return base64.b64encode(png(picture)).decode("ascii")

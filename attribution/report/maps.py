"""Writes the maps of an explanation as a report shows them."""

from __future__ import annotations

import base64

from PIL import Image

from attribution.explanation import Explanation
from attribution.explanation.pictures import heat_picture, png, region_colour, region_picture
from attribution.report.composing import Pictures
from attribution.report.document import ReportedMaps, ReportedRegion, ReportedRegionMap


def reported_maps(explanation: Explanation | None) -> Pictures:
    """Heat maps, and the regions with a colour for each attributed source; no thumbnails."""
    if explanation is None:
        return Pictures()
    maps = {
        each.source_id: ReportedMaps(
            query_png=_base64(heat_picture(each.query)),
            source_png=_base64(heat_picture(each.source)),
        )
        for each in explanation.sources
    }
    legend = tuple(
        ReportedRegion(
            rank=region.rank, colour="#{:02x}{:02x}{:02x}".format(*region_colour(region.rank))
        )
        for region in explanation.regions
    )
    if not legend:
        return Pictures(maps=maps)
    picture = _base64(region_picture(explanation.region_map))
    return Pictures(maps=maps, region_map=ReportedRegionMap(png=picture, legend=legend))


def _base64(picture: Image.Image) -> str:
    return base64.b64encode(png(picture)).decode("ascii")

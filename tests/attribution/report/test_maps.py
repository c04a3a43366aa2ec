"""The maps of a report are those of the explanation, to the last patch."""

import base64
import io

import numpy as np
from PIL import Image

from attribution.explanation import Explanation
from attribution.explanation.explanation import Region, SourceMaps
from attribution.explanation.pictures import REGION_COLOURS
from attribution.report.maps import reported_maps

QUERY = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
SOURCE = QUERY[::-1]
REGIONS = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)


def numbers(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def explanation(*regions: Region) -> Explanation:
    return Explanation((SourceMaps(1, "src_a", QUERY, SOURCE),), REGIONS, regions, 1 / 3)


def test_each_source_has_its_two_heat_maps():
    made = reported_maps(explanation()).maps
    assert list(made) == ["src_a"]
    assert np.abs(numbers(made["src_a"].query_png) / 255 - QUERY).max() <= 0.5 / 255
    assert np.abs(numbers(made["src_a"].source_png) / 255 - SOURCE).max() <= 0.5 / 255


def test_the_legend_gives_each_region_its_colour():
    made = reported_maps(
        explanation(Region(1, "src_a", 1 / 3), Region(2, "src_b", 1 / 3))
    ).region_map
    assert np.array_equal(numbers(made.png), REGIONS)
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in REGION_COLOURS[:2]]
    assert [(each.rank, each.colour) for each in made.legend] == [*enumerate(colours, 1)]


def test_nothing_explained_or_attributed_is_no_map():
    assert reported_maps(explanation()).region_map is None
    nothing = reported_maps(None)
    assert (nothing.maps, nothing.region_map) == ({}, None)

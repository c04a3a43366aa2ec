"""Localisation figures against slow formulas, and composites whose truth is known."""

import numpy as np
import pytest
from composites import KINDS, make_composites
from hypothesis import given, settings
from hypothesis import strategies as st
from localisation import (
    FIGURES,
    MAPS,
    energy_inside,
    intervals,
    localise,
    points_inside,
    region_iou,
    scaled,
)
from PIL import Image

from attribution.retrieval.fusion import fusion_of
from attribution.synthesis.photographs import bundled_photographs
from models import load_encoder

grids = st.integers(1, 5)
seeds = st.integers(0, 10_000)


def drawn(name, number):
    return name, Image.new("RGB", (40 + number, 30), (number, 255 - number, 100))


@given(grids, grids, grids, grids, seeds)
@settings(max_examples=50, deadline=None)
def test_figures_are_those_of_a_loop_over_pixels(rows, columns, high, wide, seed):
    rng = np.random.default_rng(seed)
    found, heat = rng.integers(0, 3, (rows, columns)), rng.random((rows, columns))
    truth = rng.integers(0, 3, (high * 3, wide * 3)).astype(np.uint8)
    height, width = truth.shape
    inside = truth == truth[0, 0]
    counts = {label: [0, 0] for label in np.unique(truth)}
    energy = [0.0, 0.0]
    for y in range(height):
        for x in range(width):
            patch = int(y * rows / height), int(x * columns / width)
            energy[0] += heat[patch] * inside[y, x]
            energy[1] += heat[patch]
            for label, count in counts.items():
                ours, theirs = found[patch] == label, truth[y, x] == label
                count[0] += ours and theirs
                count[1] += ours or theirs
    expected = np.mean([both / either for both, either in counts.values()])
    assert region_iou(found, truth) == pytest.approx(expected)
    assert energy_inside(heat, inside) == pytest.approx(energy[0] / energy[1])


def test_the_highest_patch_points():
    heat = np.zeros((4, 4), np.float32)
    heat[1, 3] = 1
    mask = np.zeros((40, 80), bool)
    assert not points_inside(heat, mask)
    mask[15, 70] = True  # the very pixel in the middle of that patch
    assert points_inside(heat, mask)


def test_a_flat_or_empty_map_has_the_energy_of_the_area():
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = True
    for value in (0.0, 0.7):
        assert energy_inside(np.full((4, 4), value, np.float32), mask) == pytest.approx(0.25)


def test_scaling_repeats_patches():
    values = np.array([[1, 2], [3, 4]])
    assert np.array_equal(scaled(values, (4, 6)), values.repeat(2, 0).repeat(3, 1))


def test_composites_say_where_each_pixel_is_from():
    images = [drawn(str(number), number) for number in range(0, 250, 5)]
    made = make_composites(images, 2, candidates=4, seed=3)
    again = make_composites(images, 2, candidates=4, seed=3)
    assert [each.kind for each in made] == [kind for kind in KINDS for _ in range(2)]
    used = [name for each in made for name in each.sources]
    assert len(set(used)) == len(used)
    colours = {name: np.array(image.getpixel((0, 0))) for name, image in images}
    for one, other in zip(made, again, strict=True):
        assert np.array_equal(one.labels, other.labels)
        assert one.image.tobytes() == other.image.tobytes()
        assert len(one.candidates) == 4
        assert one.attributed == (1 if one.kind == "half-held" else 2)
        labels = (1, 0) if one.kind == "half-held" else (1, 2)
        pixels = np.asarray(one.image).astype(int)
        assert pixels.shape[:2] == one.labels.shape
        for label, name in zip(labels, one.sources, strict=True):
            region = one.labels == label
            assert region.mean() > 0.15
            assert np.abs(np.median(pixels[region], axis=0) - colours[name]).max() < 8


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="give more"):
        make_composites([drawn("a", 1)], 1)


def test_the_bundled_encoder_finds_the_regions_of_photographs():
    images = [(each.name, each.image) for each in bundled_photographs()]
    made = [
        each
        for each in make_composites(images, 2, candidates=5, seed=1)
        if each.kind in ("collage", "half-held")
    ]
    encoder = load_encoder()
    fusion = fusion_of(encoder)
    found = [localise(encoder, fusion, each) for each in made]
    figures = intervals(made, found)
    assert set(figures) == set(FIGURES)
    collages = {name: figures[name]["collage"] for name in FIGURES}
    assert collages["region_iou"].value > 0.6
    for kind in MAPS:
        assert collages[f"{kind}_energy_inside"].value > collages["true_area"].value + 0.1
        assert collages[f"{kind}_insertion"].value > 0
        assert collages[f"{kind}_deletion"].value > 0
    assert collages["resemblance_pointing"].value == 1
    assert collages["evidence_insertion"].value > collages["resemblance_insertion"].value
    assert collages["region_iou"].low <= collages["region_iou"].value <= collages["region_iou"].high

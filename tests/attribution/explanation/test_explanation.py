"""Heat maps and regions, with the bundled encoder on real photographs."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from attribution.explanation import explain, sources_to_explain, views_of_query
from attribution.explanation.explanation import LARGEST_COUNT, assigned
from attribution.synthesis.collage import collage
from tests.support.answers import answer_of, ranked

OTHERS = ("coffee", "rocket", "brick")


def explained(encoder, image, sources, attributed):
    patches = encoder.patches([each.convert("RGB") for each in sources])
    wanted = [ranked(rank, attributed=each) for rank, each in enumerate(attributed, 1)]
    views = encoder.patches(views_of_query(image))
    return explain(views, wanted, patches, encoder.patch_blocks)


def overlap(ranks, rank, mask):
    found = np.asarray(Image.fromarray(ranks).resize(mask.shape[::-1], 0)) == rank
    return (found & mask).sum() / (found | mask).sum()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_parts_of_a_collage_go_to_the_images_they_are_of(encoder, photographs, mirrored):
    for seed, (first, second) in enumerate([("astronaut", "china"), ("chelsea", "motorcycle")]):
        made = collage(photographs[first], photographs[second], mask_seed=seed)
        image = ImageOps.mirror(made.image) if mirrored else made.image
        mask = made.mask[:, ::-1] if mirrored else made.mask
        sources = [photographs[name] for name in (second, first, *OTHERS)]
        found = explained(encoder, image, sources, [True, True, False, False, False])
        assert overlap(found.region_map, 2, mask) > 0.7
        assert overlap(found.region_map, 1, ~mask) > 0.7
        assert [region.rank for region in found.regions] == [1, 2]
        areas = [region.fraction for region in found.regions]
        assert sum(areas) + found.none_fraction == pytest.approx(1)
        assert areas[1] == pytest.approx(mask.mean(), abs=0.15)
        inside = np.asarray(Image.fromarray(mask).resize((16, 16), 0))
        heat = found.sources[1].query
        assert heat[inside].mean() > 0.2 + heat[~inside].mean()
        assert found.sources[1].source.mean() > 0.15 + found.sources[2].source.mean()


def test_maps_of_a_query_set_upright_are_drawn_over_it_as_it_lies(encoder, photographs):
    made = collage(photographs["astronaut"], photographs["china"], mask_seed=0)
    sources = [photographs["astronaut"], photographs["china"]]
    upright = explained(encoder, made.image, sources, [True, True])
    for degrees in (90, 180, 270):
        lying = upright.turned(degrees)
        mask = np.asarray(Image.fromarray(made.mask).rotate(degrees, expand=True))
        assert overlap(lying.region_map, 1, mask) == overlap(upright.region_map, 1, made.mask)
        heat = np.asarray(Image.fromarray(upright.sources[0].query).rotate(degrees))
        assert np.array_equal(lying.sources[0].query, heat)
        assert np.array_equal(lying.sources[0].source, upright.sources[0].source)
        assert lying.regions == upright.regions
    assert upright.turned(0).region_map.tobytes() == upright.region_map.tobytes()


def test_what_no_attributed_source_shows_is_assigned_to_none(encoder, photographs):
    made = collage(photographs["astronaut"], photographs["china"], mask_seed=0)
    found = explained(encoder, made.image, [photographs["astronaut"]], [True])
    assert overlap(found.region_map, 1, made.mask) > 0.6
    assert overlap(found.region_map, 0, ~made.mask) > 0.6


def test_maps_are_the_same_each_time_and_within_bounds(encoder, photographs):
    made = collage(photographs["rocket"], photographs["coffee"], mask_seed=3)
    sources = [photographs["rocket"], photographs["coffee"]]
    one, two = (explained(encoder, made.image, sources, [True, True]) for _ in range(2))
    for first, second in zip(one.sources, two.sources, strict=True):
        assert np.array_equal(first.query, second.query)
        assert np.array_equal(first.source, second.source)
        for values in (first.query, first.source):
            assert values.shape == (16, 16)
            assert values.dtype == np.float32
            assert 0 <= values.min() <= values.max() <= 1
    assert np.array_equal(one.region_map, two.region_map)
    assert one.region_map.dtype == np.uint8


def test_without_an_attributed_source_every_patch_is_nobodys(encoder, photographs):
    sources = [photographs["rocket"], photographs["coffee"]]
    found = explained(encoder, photographs["rocket"], sources, [False, False])
    assert len(found.sources) == 2
    assert not found.region_map.any()
    assert (found.regions, found.none_fraction) == ((), 1.0)


def test_without_any_source_there_is_nothing_to_draw(encoder, photographs):
    views = encoder.patches(views_of_query(photographs["coffee"]))
    found = explain(views, [], np.zeros((0, *views.shape[1:]), np.float32), encoder.patch_blocks)
    assert found.sources == ()
    assert found.region_map.shape == (16, 16)
    assert found.none_fraction == 1.0


def test_which_sources_are_explained():
    def ranks(*attributed):
        return [each.rank for each in sources_to_explain(answer_of(*attributed))]

    assert ranks(True, False, True, False) == [1, 3]
    assert ranks(*[False] * 8) == [1, 2, 3]
    assert ranks(*[True] * 14) == list(range(1, LARGEST_COUNT + 1))
    assert ranks() == []


def test_a_patch_goes_to_the_best_map_that_is_good_enough():
    maps = [np.array([[0.5, 0.1, 0.3, 0.4]]), np.array([[0.4, 0.2, 0.3, 0.6]])]
    assert assigned(maps, (1, 4), level=0.3).tolist() == [[1, 0, 1, 2]]
    assert assigned([], (2, 2)).tolist() == [[0, 0], [0, 0]]

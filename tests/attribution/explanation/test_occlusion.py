"""The map of what a score rests on: by hand, on a collage, and through a frame."""

import numpy as np
import pytest
from PIL import Image

from attribution.explanation import evidence, variants_of_query
from attribution.explanation.occlusion import CELLS, VARIANTS, occluded
from attribution.retrieval.fusion import fusion_of
from attribution.synthesis.collage import collage
from models.images.borders import cut_out
from models.images.decoding import DecodedImage
from models.images.notes import FRAMED, Note
from tests.support.pictures import picture

SIDE = 64


def query_of(image, *notes):
    return DecodedImage(image, *image.size, "png", "0" * 64, notes)


def squares(image):
    """Means of the parts of a picture."""
    side = image.width // CELLS
    pixels = np.asarray(image, np.float32).reshape(CELLS, side, CELLS, side, 3)
    return pixels.mean(axis=(1, 3))


def test_each_variant_differs_in_its_own_part_alone():
    image = picture(3).convert("RGB").resize((SIDE, SIDE))
    first, *others = occluded(image)
    assert len(others) == VARIANTS - 1
    assert first == image
    for number, variant in enumerate(others):
        differs = np.abs(np.asarray(variant, int) - np.asarray(image, int)).max(axis=2)
        differs = differs.reshape(CELLS, 8, CELLS, 8).max(axis=(1, 3)) > 0
        row, column = divmod(number, CELLS)
        assert differs[row, column]
        assert differs.sum() == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (13, 7)])
def test_pictures_smaller_than_the_parts_have_variants_too(size):
    assert {each.size for each in occluded(Image.new("RGB", size, "red"))} == {size}


def test_losses_of_all_sources_are_on_one_scale_and_gains_count_for_nothing():
    scores = np.full((VARIANTS, 3), 5.0)
    scores[1 + 9, 0] = 1.0  # the part in the second row and column costs 4
    scores[1 + 63, 1] = 3.0  # the last one costs the second source 2
    scores[1, 1] = 9.0
    scores[:, 2] = -np.inf  # gone meanwhile
    first, second, gone = evidence(scores)
    assert first.shape == (CELLS, CELLS)
    assert first[1, 1] == 1.0
    assert second[7, 7] == 0.5
    assert first.sum() + second.sum() + gone.sum() == 1.5


def test_of_two_looks_the_better_counts_for_every_variant():
    whole, framed = np.full((VARIANTS, 1), 3.0), np.full((VARIANTS, 1), 5.0)
    framed[1] = 2.0  # then the whole is the better one, and 2 are lost
    framed[2] = 4.0
    [found] = evidence(np.concatenate([whole, framed]))
    assert found.ravel()[:3].tolist() == [1.0, 0.5, 0.0]


def test_nothing_lost_is_a_map_of_nothing():
    [found] = evidence(np.ones((VARIANTS, 1)))
    assert not found.any()


def found_of(encoder, query, sources):
    """The maps by the bundled encoder's own score."""
    rows = encoder.encode(variants_of_query(query), domain="query")
    return evidence(fusion_of(encoder).scores(rows, encoder.encode(sources)))


def test_the_score_of_each_image_of_a_collage_rests_on_its_part(encoder, photographs):
    gains = []
    for seed, names in enumerate([("astronaut", "china"), ("chelsea", "motorcycle")]):
        first, second = (photographs[name] for name in names)
        made = collage(first, second, mask_seed=seed)
        mask = Image.fromarray(made.mask).resize((CELLS, CELLS), Image.Resampling.BOX)
        inside = np.asarray(mask)
        found = found_of(encoder, query_of(made.image), [first, second])
        for borne, own in zip(found, (inside, ~inside), strict=True):
            gains.append(borne[own].sum() / borne.sum() - own.mean())
    assert np.mean(gains) > 0.15
    assert np.max(gains) > 0.3


def test_the_score_of_a_framed_picture_rests_on_nothing_of_its_frame(encoder, photographs):
    page = Image.new("RGB", (480, 480), "white")
    page.paste(photographs["coffee"].convert("RGB").resize((240, 240)), (120, 120))
    cut = cut_out(page)
    assert cut is not None
    query = query_of(page, cut[1])
    assert cut[1].code == FRAMED
    variants = variants_of_query(query)
    assert len(variants) == 2 * VARIANTS
    assert variants[VARIANTS].size == pytest.approx((240, 240), abs=4)
    [found] = found_of(encoder, query, [photographs["coffee"]])
    assert found[2:6, 2:6].sum() > 0.95 * found.sum()
    unframed = variants_of_query(query_of(page, Note("levels", "")))
    assert len(unframed) == VARIANTS


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_query_is_seen_upright_with_the_same_part_blurred(degrees):
    upright = picture(3).convert("RGB").resize((SIDE, SIDE))
    lying = upright.rotate(degrees)  # to the left
    looks = variants_of_query(query_of(lying), degrees)
    assert len(looks) == 2 * VARIANTS
    assert looks[VARIANTS] == upright
    cells = np.rot90(np.arange(CELLS**2).reshape(CELLS, CELLS), degrees // 90).ravel()
    expected = occluded(upright)[1:]
    for place, seen in zip(cells, looks[VARIANTS + 1 :], strict=True):
        apart = np.asarray(seen, int) - np.asarray(expected[place], int)
        assert np.abs(apart).max() <= 3  # of levels

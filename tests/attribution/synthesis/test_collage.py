import numpy as np
import pytest
from PIL import Image

from attribution.synthesis import collage

RED, BLUE = Image.new("RGB", (60, 40), "red"), Image.new("RGB", (33, 90), "blue")


@pytest.mark.parametrize("seed", range(12))
def test_the_mask_says_where_each_pixel_came_from(seed):
    made = collage(RED, BLUE, mask_seed=seed, size=48)
    assert made.image.size == (48, 32)
    assert made.mask.shape == (32, 48)
    assert made.mask.dtype == np.bool_
    pixels = np.asarray(made.image)
    assert (pixels[made.mask] == (255, 0, 0)).all()
    assert (pixels[~made.mask] == (0, 0, 255)).all()
    assert 0.3 < made.mask.mean() < 0.7


def test_the_seed_decides_the_mask():
    masks = [collage(RED, BLUE, mask_seed=seed).mask for seed in range(8)]
    assert np.array_equal(masks[3], collage(RED, BLUE, mask_seed=3).mask)
    assert len({mask.tobytes() for mask in masks}) == len(masks)


def test_regions_are_large_not_dust():
    for seed in range(12):
        mask = collage(RED, BLUE, mask_seed=seed, size=96).mask
        borders = (mask[:, 1:] != mask[:, :-1]).mean() + (mask[1:] != mask[:-1]).mean()
        assert borders < 0.15


def test_a_single_pixel_is_a_collage_too():
    assert collage(Image.new("L", (1, 1)), BLUE, mask_seed=0, size=1).mask.shape == (1, 1)


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="choose 1 or more"):
        collage(RED, BLUE, mask_seed=0, size=0)

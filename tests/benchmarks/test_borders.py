"""The frames that the benchmark draws: the picture lies where they say, and is found there."""

import numpy as np
import pytest
from borders import FRAMES, Asked, framed, overlap

from tests.support.pictures import picture


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_holds_the_picture_where_it_says(kind):
    inner, rng = picture(1, (160, 120)), np.random.default_rng(0)
    for _ in range(5):
        whole, at = FRAMES[kind](inner, rng)
        assert whole.width * whole.height > inner.width * inner.height
        box = (*at, at[0] + inner.width, at[1] + inner.height)
        lies = np.corrcoef(np.asarray(whole.crop(box)).ravel(), np.asarray(inner).ravel())
        assert lies[0, 1] > 0.98  # of a night, with fewer levels


@pytest.mark.parametrize("kind", FRAMES)
def test_what_is_framed_is_mostly_found(kind):
    images = [picture(seed, (160, 120), grid=(40, 54)) for seed in range(12)]
    asked = [Asked(image, frozenset()) for image in images]

    queries, found = framed(asked, FRAMES[kind])

    assert len(queries) == 12
    assert found >= 0.75


def test_overlap_is_intersection_over_union():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 10, 20, 20)) == 0

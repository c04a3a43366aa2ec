"""The threshold against a slow search and against another implementation."""

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from attribution.synthesis.otsu import otsu


@pytest.mark.parametrize("seed", range(5))
def test_otsu_is_that_of_a_slow_search_and_of_scikit_image(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 1, 300), rng.normal(4 + seed, 1, 100)])
    found = otsu(values)
    step = (values.max() - values.min()) / 256
    assert found == pytest.approx(threshold_otsu(values, nbins=256), abs=1.01 * step)
    best = max(
        np.linspace(values.min(), values.max(), 400)[1:-1],
        key=lambda t: (values <= t).mean() * (values > t).mean()
        * (values[values > t].mean() - values[values <= t].mean()) ** 2,
    )  # fmt: skip
    assert (values > found).mean() == pytest.approx((values > best).mean(), abs=0.01)


def test_equal_values_are_their_own_threshold():
    assert otsu(np.full((3, 4), 2.5, np.float32)) == 2.5

"""What many p-values say of the background, against SciPy's own tests and by what must show."""

import numpy as np
import pytest
from scipy import stats

from attribution.calibration.watching import evenness, sameness, share_without_source, watched


@pytest.fixture
def even():
    return np.random.default_rng(5).uniform(size=400)


def test_evenness_is_scipys_one_sided_test_of_the_upper_half(even):
    upper = even[even > 0.5] * 2 - 1
    expected = stats.kstest(upper, "uniform", alternative="greater").pvalue
    assert evenness(even) == pytest.approx(expected)


def test_sameness_is_scipys_two_sample_test(even):
    older, newer = even[:150], even[150:] ** 1.2
    expected = stats.ks_2samp(older, newer, method="asymp").pvalue
    assert sameness(older, newer) == pytest.approx(expected, rel=0.15)


def test_a_background_unlike_the_queries_shows_and_caution_does_not(even):
    assert watched(even.tolist()).evenness > 0.05
    upper = np.clip(2 * even - 1, 0, None)
    smaller = np.where(even > 0.5, 0.5 + upper**2 / 2, even)
    assert watched(smaller.tolist()).evenness < 1e-4
    cautious = np.where(even > 0.5, 1 - (1 - upper) ** 2 / 2, even)
    assert watched(cautious.tolist()).evenness > 0.5


def test_a_change_on_the_way_shows(even):
    assert watched(even.tolist()).sameness > 0.05
    changed = np.concatenate([even[:200], even[200:] * 0.3])
    assert watched(changed.tolist()).sameness < 1e-4


def test_the_share_without_source_is_estimated_from_the_upper_half():
    p_values = [0.001] * 60 + [(place + 0.5) / 40 for place in range(40)]
    assert share_without_source(np.array(p_values)) == pytest.approx(0.4)
    assert share_without_source(np.full(10, 0.9)) == 1.0


def test_few_queries_say_nothing():
    for p_values in ([], [0.001] * 10 + [1.0] * 5):
        told = watched(p_values)
        assert (told.without_source, told.evenness, told.sameness) == (None, None, None)

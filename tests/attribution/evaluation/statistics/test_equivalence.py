"""Two one-sided tests against their formula for a normal mean."""

import math

import numpy as np
import pytest

from attribution.evaluation.statistics.equivalence import equivalence


def normal_tail(z):
    """P(Z > z)."""
    return 0.5 * math.erfc(z / math.sqrt(2))


@pytest.mark.parametrize("mean", [0.0, 0.004, -0.004, 0.012])
@pytest.mark.parametrize("error", [0.001, 0.004, 0.02])
def test_p_and_interval_are_those_of_a_normal_mean(mean, error):
    draws = np.random.default_rng(0).normal(mean, error, 200_000)
    found = equivalence(draws, margin=0.01)
    p = max(normal_tail((mean + 0.01) / error), normal_tail((0.01 - mean) / error))
    assert found.p == pytest.approx(p, abs=0.004)
    assert found.low == pytest.approx(mean - 1.6449 * error, abs=0.02 * error)
    assert found.high == pytest.approx(mean + 1.6449 * error, abs=0.02 * error)
    assert found.holds == (p < 0.05)


def test_a_wide_interval_about_zero_is_no_equivalence():
    draws = np.random.default_rng(1).normal(0.0, 0.05, 10_000)
    assert not equivalence(draws, margin=0.01).holds


def test_a_difference_that_is_surely_there_may_still_not_matter():
    draws = np.random.default_rng(2).normal(0.003, 0.0005, 10_000)
    found = equivalence(draws, margin=0.01)
    assert found.low > 0
    assert found.holds


@pytest.mark.parametrize(("draws", "margin"), [(0, 0.01), (5, 0.0)])
def test_what_tests_nothing_is_refused(draws, margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence(np.zeros(draws), margin=margin)

"""Distance from uniform against SciPy's test, and what its sides mean."""

import numpy as np
import pytest
from scipy import stats

from attribution.evaluation.decisions.uniformity import QUANTILES, band, cumulative, uniformity


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_distance_is_that_of_kolmogorov_and_smirnov(power):
    p_values = np.random.default_rng(0).random(200) ** power
    found = uniformity(p_values)
    assert found.distance == pytest.approx(stats.kstest(p_values, "uniform").statistic)
    expected = stats.kstest(p_values, "uniform", alternative="greater").statistic
    assert found.excess == pytest.approx(expected)
    assert found.queries == 200
    assert list(found.quantiles) == list(QUANTILES)
    assert found.quantiles[0.5] == pytest.approx(np.median(p_values))


def test_excess_tells_too_bold_from_too_cautious():
    rng = np.random.default_rng(1)
    bold, cautious = uniformity(rng.random(500) ** 2), uniformity(rng.random(500) ** 0.5)
    assert bold.excess == bold.distance > bold.band
    assert cautious.excess < 0.1 * cautious.distance
    assert cautious.distance > cautious.band


def test_uniform_values_stay_in_the_band_nineteen_times_in_twenty():
    rng = np.random.default_rng(2)
    inside = sum(uniformity(rng.random(100)).distance <= band(100) for _ in range(300))
    assert inside >= 0.93 * 300


def test_the_distribution_counts_equal_values_together():
    assert cumulative(np.array([0.5, 0.2, 0.5, 1.0])).tolist() == [[0.2, 0.5, 1.0], [0.25, 0.75, 1]]


def test_nothing_is_not_uniform():
    with pytest.raises(ValueError, match="no p-values"):
        uniformity(np.zeros(0))

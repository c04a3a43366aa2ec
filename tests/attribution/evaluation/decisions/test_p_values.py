"""Distance from uniform against SciPy's test; risk over coverage against a loop."""

import numpy as np
import pytest
from scipy import stats

from attribution.evaluation.decisions.p_values import (
    QUANTILES,
    band,
    cumulative,
    risk_coverage,
    uniformity,
)


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


def slow_area(p_values, wrong):
    order = sorted(range(len(wrong)), key=lambda place: p_values[place])
    total = 0.0
    for k in range(1, len(order) + 1):
        total += sum(wrong[place] for place in order[:k]) / k
    return total / len(order)


def test_area_and_curve_without_ties():
    rng = np.random.default_rng(0)
    p_values, wrong = rng.permutation(60) / 60, rng.random(60) < 0.3
    found = risk_coverage(p_values, wrong)
    assert found.area == pytest.approx(slow_area(p_values, wrong))
    assert found.best_area == pytest.approx(slow_area(wrong.astype(float), wrong))
    assert found.error == wrong.mean()
    assert len(found.coverage) == len(found.risk) == 60
    for place in (0, 17, 59):
        chosen = p_values <= np.sort(p_values)[place]
        assert found.coverage[place] == pytest.approx(chosen.mean())
        assert found.risk[place] == pytest.approx(wrong[chosen].mean())


def test_answers_of_equal_p_value_count_as_if_shuffled():
    p_values = np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.9])
    wrong = np.array([True, False, False, True, True, False])
    rng = np.random.default_rng(1)
    areas = [
        slow_area((p_values + 1e-6 * rng.random(6)).tolist(), wrong.tolist()) for _ in range(4000)
    ]
    found = risk_coverage(p_values, wrong)
    assert found.area == pytest.approx(np.mean(areas), abs=0.01)
    assert found.coverage == pytest.approx((0.5, 5 / 6, 1))
    assert found.risk == pytest.approx((1 / 3, 3 / 5, 0.5))
    again = rng.permutation(6)
    assert risk_coverage(p_values[again], wrong[again]) == found


def test_sure_when_right_beats_sure_when_wrong():
    wrong = np.arange(10) >= 7
    good, bad = risk_coverage(np.arange(10.0), wrong), risk_coverage(-np.arange(10.0), wrong)
    assert good.area == good.best_area < bad.area


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="0 p-values"):
        risk_coverage(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(ValueError, match="2 p-values of 3"):
        risk_coverage(np.zeros(2), np.zeros(3, bool))

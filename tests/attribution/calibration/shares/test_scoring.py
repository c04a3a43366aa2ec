"""Scores against their definitions, one draw and one bin at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.calibration.shares.scoring import (
    binary_brier_score,
    binary_log_score,
    brier_score,
    equal_mass_bins,
    equal_mass_calibration_error,
    log_score,
)


def distributions(seed, n=20, c=5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(c), n), rng.dirichlet(np.full(c, 0.3), n)


def test_scores_are_expectations_over_the_drawn_source():
    p, credit = distributions(0)
    slow_log = slow_brier = 0.0
    for row in range(len(p)):
        for drawn in range(p.shape[1]):
            hit = np.eye(p.shape[1])[drawn]
            slow_log -= credit[row, drawn] * np.log(p[row, drawn]) / len(p)
            slow_brier += credit[row, drawn] * ((p[row] - hit) ** 2).sum() / len(p)
    assert log_score(p, credit) == pytest.approx(slow_log)
    assert brier_score(p, credit) == pytest.approx(slow_brier)


@given(st.integers(0, 10_000))
def test_the_truth_scores_best(seed):
    other, credit = distributions(seed)
    assert log_score(credit, credit) <= log_score(other, credit) + 1e-12
    assert brier_score(credit, credit) <= brier_score(other, credit) + 1e-12


def test_a_weight_of_two_is_the_row_twice():
    p, credit = distributions(3, n=4)
    weights = [2, 1, 1, 0]
    twice = [0, 0, 1, 2]
    for score in (log_score, brier_score):
        assert score(p, credit, weights) == pytest.approx(score(p[twice], credit[twice]))


def test_certainty_that_fails_is_bad_but_finite():
    assert 20 < log_score([[1.0, 0.0]], [[0.0, 1.0]]) < 40


def test_calibration_error_bin_by_bin():
    rng = np.random.default_rng(1)
    p, y = rng.random(200), rng.random(200).round()
    order = np.argsort(p)
    slow = np.mean([abs(p[part].mean() - y[part].mean()) for part in np.split(order, 10)])
    assert equal_mass_calibration_error(p, y) == pytest.approx(slow)


def test_a_calibrated_predictor_has_little_error_and_a_sure_one_much():
    rng = np.random.default_rng(2)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(float)
    assert equal_mass_calibration_error(p, y) < 0.015
    assert equal_mass_calibration_error((p > 0.5).astype(float), y) == pytest.approx(0.25, abs=0.02)


def test_equal_predictions_share_a_bin():
    found = equal_mass_bins([0.3] * 6 + [0.9] * 6, [0, 0, 0, 0, 1, 1] + [1] * 6, bins=4)
    assert found.predicted == pytest.approx([0.3, 0.9])
    assert found.observed == pytest.approx([1 / 3, 1.0])
    assert found.mass == pytest.approx([0.5, 0.5])
    assert equal_mass_calibration_error([0.4] * 10, [1, 0] * 5, bins=5) == pytest.approx(0.1)


def test_weights_move_mass_between_bins():
    found = equal_mass_bins([0.1, 0.2, 0.9], [0, 0, 1], [1, 1, 2], bins=2)
    assert found.mass == pytest.approx([0.5, 0.5])
    assert found.predicted == pytest.approx([0.15, 0.9])


@pytest.mark.parametrize(("p", "bins"), [([], 10), ([0.5], 0)])
def test_nothing_to_bin(p, bins):
    with pytest.raises(ValueError, match="one bin or more"):
        equal_mass_bins(p, p, bins=bins)


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    predicted = rng.random(n)
    return predicted, (rng.random(n) < predicted**2).astype(float)


def test_scores_query_by_query():
    predicted, outcome = drawn(50)
    outcome[3] = 0.5
    brier = sum((p - y) ** 2 for p, y in zip(predicted, outcome, strict=True)) / 50
    log = -sum(
        y * math.log(p) + (1 - y) * math.log(1 - p) for p, y in zip(predicted, outcome, strict=True)
    )
    assert binary_brier_score(predicted, outcome) == pytest.approx(brier)
    assert binary_log_score(predicted, outcome) == pytest.approx(log / 50)


def test_a_certainty_that_fails_costs_the_floor():
    assert binary_log_score(np.array([1.0]), np.array([0.0]), floor=1e-3) == pytest.approx(
        math.log(1000)
    )
    assert binary_log_score(np.array([0.0]), np.array([0.0]), floor=1e-3) == pytest.approx(
        -math.log(0.999)
    )


def test_unequal_lengths_are_refused():
    for score in (binary_brier_score, binary_log_score):
        with pytest.raises(ValueError, match="0 predictions"):
            score(np.zeros(0), np.zeros(0))
        with pytest.raises(ValueError, match="2 predictions of 3"):
            score(np.zeros(2), np.zeros(3))

"""Scores of stated probabilities against loops that spell the definitions out."""

import math

import numpy as np
import pytest

from attribution.calibration.scoring import (
    brier_score,
    equal_mass_calibration_error,
    log_score,
)


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    predicted = rng.random(n)
    return predicted, (rng.random(n) < predicted**2).astype(float)


@pytest.mark.parametrize(("n", "bins"), [(100, 10), (57, 10), (7, 10), (40, 1)])
def test_calibration_error_bin_by_bin(n, bins):
    predicted, outcome = drawn(n)
    pairs = sorted(zip(predicted, outcome, strict=True))
    sizes = [n // min(bins, n) + (place < n % min(bins, n)) for place in range(min(bins, n))]
    expected, start = 0.0, 0
    for size in sizes:
        part = pairs[start : start + size]
        gap = sum(p for p, _ in part) / size - sum(y for _, y in part) / size
        expected += size / n * abs(gap)
        start += size
    assert start == n
    assert equal_mass_calibration_error(predicted, outcome, bins) == pytest.approx(expected)


def test_scores_query_by_query():
    predicted, outcome = drawn(50)
    outcome[3] = 0.5
    brier = sum((p - y) ** 2 for p, y in zip(predicted, outcome, strict=True)) / 50
    log = -sum(
        y * math.log(p) + (1 - y) * math.log(1 - p) for p, y in zip(predicted, outcome, strict=True)
    )
    assert brier_score(predicted, outcome) == pytest.approx(brier)
    assert log_score(predicted, outcome) == pytest.approx(log / 50)


def test_a_certainty_that_fails_costs_the_floor():
    assert log_score(np.array([1.0]), np.array([0.0]), floor=1e-3) == pytest.approx(math.log(1000))
    assert log_score(np.array([0.0]), np.array([0.0]), floor=1e-3) == pytest.approx(
        -math.log(0.999)
    )


def test_truth_is_perfect_and_overconfidence_is_not():
    outcome = np.repeat([0.0, 1.0], 50)
    assert equal_mass_calibration_error(outcome, outcome) == 0
    assert brier_score(outcome, outcome) == 0
    assert equal_mass_calibration_error(np.ones(100), outcome, bins=1) == pytest.approx(0.5)


def test_what_cannot_be_scored_is_refused():
    for score in (equal_mass_calibration_error, brier_score, log_score):
        with pytest.raises(ValueError, match="0 predictions"):
            score(np.zeros(0), np.zeros(0))
        with pytest.raises(ValueError, match="2 predictions of 3"):
            score(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="one at least"):
        equal_mass_calibration_error(np.zeros(2), np.zeros(2), bins=0)

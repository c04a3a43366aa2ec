"""The promise for one background: against the printed formula, and against many backgrounds."""

from fractions import Fraction
from math import prod

import numpy as np
import pytest

from attribution.calibration.guarantee import DELTA, conditional_levels
from attribution.calibration.null import Null, StratumNull


def slow_level(n: int, place: int, delta: float) -> float:
    """The b of that place, from 1, by exact products."""
    i, k = n + 1 - place, max(1, n // 2)
    falling = Fraction(prod(i - step for step in range(k)), prod(n - step for step in range(k)))
    return 1 - (delta * float(falling)) ** (1 / k)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("delta", [0.05, 0.3])
def test_levels_are_those_of_the_paper(n, delta):
    expected = [slow_level(n, place, delta) for place in range(1, n + 1)]
    assert conditional_levels(n, delta) == pytest.approx([*expected, 1.0], rel=1e-9)


@pytest.mark.parametrize("n", [1, 100, 5200, 100_000])
def test_levels_ascend_and_are_never_below_the_ordinary_p_value(n):
    levels = conditional_levels(n)
    assert (np.diff(levels) >= 0).all()
    assert (levels >= np.arange(1, n + 2) / (n + 1) - 1e-12).all()


def test_with_no_background_there_is_no_evidence():
    assert conditional_levels(0).tolist() == [1.0]


def exceeded(levels, draws):
    """Of sorted uniform draws: whether one of them lies above its level, so that some alpha fails.

    A false attribution at alpha is a uniform query above all but r of the draws with
    level[r] <= alpha; its rate is 1 minus that draw, by symmetry the r-th smallest.
    """
    return (draws > levels[: draws.shape[1]]).any(axis=1).mean()


def test_for_all_but_one_background_in_twenty_the_rate_is_kept_at_every_alpha():
    rng, n, many = np.random.default_rng(0), 60, 20_000
    draws = np.sort(rng.uniform(size=(many, n)), axis=1)
    assert exceeded(conditional_levels(n), draws) <= DELTA + 3 * (DELTA / many) ** 0.5
    ordinary = np.arange(1, n + 2) / (n + 1)
    assert exceeded(ordinary, draws) > 0.9, "on average alone, nearly all fail somewhere"


def test_the_null_takes_the_largest_of_its_strata_under_either_promise():
    rng = np.random.default_rng(1)
    small = np.sort(rng.normal(size=200)).astype(np.float32)
    large = np.sort(rng.normal(size=900)).astype(np.float32)
    null = Null((StratumNull("photo", large), StratumNull("laundered", small)), generation=1)
    asked = np.array([-np.inf, 0.0, 1.5, np.inf], np.float32)
    expected = [
        max(
            conditional_levels(len(stratum))[int((stratum >= each).sum())]
            for stratum in (small, large)
        )
        for each in asked
    ]
    assert null.p_values(asked, "background") == pytest.approx(expected)
    assert (null.p_values(asked, "background") >= null.p_values(asked)).all()
    assert null.smallest_alpha("background") == pytest.approx(1 - 0.05 ** (1 / 100))
    assert null.smallest_alpha() == pytest.approx(1 / 201)

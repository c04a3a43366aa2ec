"""Intervals against SciPy's tests, against sums of binomial terms, and by how often they hold."""

import math

import numpy as np
import pytest
from scipy import stats

from attribution.evaluation.statistics.intervals import (
    clopper_pearson,
    korn_graubard,
    rate,
)


@pytest.mark.parametrize(("count", "total"), [(0, 400), (4, 400), (37, 400), (1, 1), (29, 29)])
def test_clopper_pearson_is_scipys_exact_interval(count, total):
    expected = stats.binomtest(count, total).proportion_ci(0.95, "exact")
    assert clopper_pearson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_at_the_ends_of_clopper_pearson_the_tails_are_two_and_a_half_percent():
    count, total = 3, 40
    low, high = clopper_pearson(count, total)

    def chance(p, counts):
        return sum(math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in counts)

    assert chance(low, range(count, total + 1)) == pytest.approx(0.025, abs=1e-9)
    assert chance(high, range(count + 1)) == pytest.approx(0.025, abs=1e-9)


def test_single_queries_as_groups_change_nothing():
    hits = np.arange(60) % 7 == 0
    found = rate(hits, np.arange(60))
    assert (found.grouped_low, found.grouped_high) == (found.low, found.high)
    assert (found.count, found.total, found.groups) == (9, 60, 60)
    assert found.value == 9 / 60


def test_groups_that_agree_within_count_about_once_each():
    groups = np.repeat(np.arange(25), 20)
    hits = groups < 5  # five generators fail altogether
    low, high = korn_graubard(hits, groups)
    expected = stats.binomtest(5, 25).proportion_ci(0.95, "exact")
    assert low == pytest.approx(expected.low, abs=0.03)
    assert high == pytest.approx(expected.high, abs=0.03)
    alone = rate(hits, np.arange(500))
    assert high - low > 3 * (alone.high - alone.low)


def test_by_hand():
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3])
    hits = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1], bool)
    p = hits.mean()
    spread = sum((hits[groups == c].sum() - p * (groups == c).sum()) ** 2 for c in range(4))
    variance = 4 / 3 * spread / 12**2
    worth = p * (1 - p) / variance * (stats.t.ppf(0.975, 11) / stats.t.ppf(0.975, 3)) ** 2
    worth = min(worth, 12)
    low = stats.beta.ppf(0.025, p * worth, worth - p * worth + 1)
    high = stats.beta.ppf(0.975, p * worth + 1, worth - p * worth)
    assert korn_graubard(hits, groups) == pytest.approx((low, high), abs=1e-6)


def test_where_all_agree_each_group_is_one_query():
    groups = np.repeat(np.arange(25), 20)
    assert korn_graubard(np.zeros(500, bool), groups) == clopper_pearson(0, 25)
    assert korn_graubard(np.ones(500, bool), groups) == clopper_pearson(25, 25)


def test_one_group_says_nothing_of_how_groups_vary():
    found = rate(np.array([True, False, True]), np.zeros(3, np.intp))
    assert (found.grouped_low, found.grouped_high) == (None, None)
    assert found.low is not None


def test_it_holds_at_least_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 10)
    held = 0
    for _ in range(200):
        chances = rng.beta(0.5, 4.5, 30)  # mean 0.1, groups far apart
        low, high = korn_graubard(rng.random(300) < chances[groups], groups)
        held += low <= 0.1 <= high
    assert held >= 0.9 * 200


@pytest.mark.parametrize(("count", "total"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_proportion_is_refused(count, total):
    with pytest.raises(ValueError, match="no proportion"):
        clopper_pearson(count, total)


def test_a_rate_needs_queries_and_their_groups():
    with pytest.raises(ValueError, match="0 queries"):
        rate(np.zeros(0, bool), np.zeros(0, np.intp))
    with pytest.raises(ValueError, match="in 2 groups"):
        rate(np.zeros(3, bool), np.zeros(2, np.intp))

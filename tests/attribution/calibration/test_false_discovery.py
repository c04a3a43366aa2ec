"""Adjusted p-values against the definition, and what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.calibration.false_discovery import q_values, q_values_by_key


def rejected(p_values, level):
    """Benjamini and Hochberg's procedure in words: the largest i with p_(i) <= i/m level."""
    ordered, m = sorted(p_values), len(p_values)
    passing = [i for i in range(1, m + 1) if ordered[i - 1] <= i / m * level + 1e-12]
    return {place for place, p in enumerate(p_values) if passing and p <= ordered[passing[-1] - 1]}


def slow_q_values(p_values):
    """The smallest level at which a query is rejected; levels that matter are m p / i."""
    m = len(p_values)
    levels = sorted({min(1.0, m * p / i) for p in p_values for i in range(1, m + 1)} | {1.0})
    return [
        next(level for level in levels if place in rejected(p_values, level)) for place in range(m)
    ]


@given(st.lists(st.integers(1, 40).map(lambda count: count / 40), min_size=1, max_size=7))
def test_a_q_value_is_the_smallest_level_that_rejects(p_values):
    assert q_values(p_values).tolist() == pytest.approx(slow_q_values(p_values))


@given(st.lists(st.floats(1e-6, 1), max_size=30))
def test_q_values_keep_the_order_and_are_no_smaller(p_values):
    q = q_values(p_values)
    assert (q >= np.array(p_values) - 1e-15).all()
    assert (np.diff(q[np.argsort(p_values, kind="stable")]) >= 0).all()


def test_one_query_and_none():
    assert q_values([0.03]).tolist() == [0.03]
    assert q_values([]).tolist() == []


def test_the_share_of_false_discoveries_is_kept():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        null, real = rng.random(40), rng.random(10) * 0.002
        found = q_values(np.concatenate([null, real])) <= 0.2
        shares.append(found[:40].sum() / max(1, found.sum()))
    assert np.mean(shares) <= 0.2 * 0.8 + 0.02


@pytest.mark.parametrize("wrong", [[-0.1], [1.1], [float("nan")], [[0.1, 0.2]]])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="from 0 to 1"):
        q_values(wrong)


def test_by_key_only_what_has_a_p_value_counts():
    found = q_values_by_key({"a": 0.02, "b": None, "c": 0.01})
    assert found == {"a": pytest.approx(0.02), "c": pytest.approx(0.02)}
    assert q_values_by_key({"b": None}) == {}

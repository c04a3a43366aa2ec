"""Lists are as short as they may be, and hold a true source as often as promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.calibration.shares.recall import Recall, RecallTooLarge, depths_of

SHARES = np.array([[0.4, 0.2, 0.1, 0.1, 0.2], [0.1, 0.1, 0.0, 0.0, 0.8]])
"""Three candidates, then sources held beyond them, then none held."""


def drawn(seed, n, k=20):
    """Shares of some queries, and a true source of each that follows nothing but its rank."""
    rng = np.random.default_rng(seed)
    shares = -np.sort(-rng.gamma(0.3, size=(n, k + 2)), axis=1)
    shares /= shares.sum(axis=1, keepdims=True)
    places = np.minimum(rng.geometric(0.35, n) - 1, k)  # the last: held and no candidate
    return shares, np.eye(k + 2)[places]


def test_a_depth_is_what_stands_before_the_first_true_source():
    second = np.array([0, 0.5, 0.5, 0, 0.0])
    beyond = np.array([0, 0, 0, 1.0, 0])
    first = np.array([1.0, 0, 0, 0, 0])
    shares = np.repeat(SHARES[:1], 3, axis=0)
    found = depths_of(shares, np.stack([second, beyond, first]))
    assert found.tolist() == [pytest.approx(0.4 / 0.8), np.inf, 0.0]


def test_what_is_believed_to_have_no_source_does_not_lengthen_a_list():
    recall = Recall({90: 0.55})
    assert recall.listed(0.9, SHARES).tolist() == [2, 4 - 2]
    doubting = SHARES.copy()
    doubting[:, :-1] *= 0.1
    doubting[:, -1] = 1 - doubting[:, :-1].sum(axis=1)
    assert recall.listed(0.9, doubting).tolist() == recall.listed(0.9, SHARES).tolist()


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_a_list_holds_a_true_source_if_and_only_if_the_depth_is_within(seed, n):
    shares, credit = drawn(seed, n)
    depths = depths_of(shares, credit)
    recall = Recall.measured(depths, "drawn")
    for rate in (0.5, 0.8, 0.9):
        if rate > recall.largest:
            with pytest.raises(RecallTooLarge):
                recall.depth(rate)
            continue
        lengths = recall.listed(rate, shares)
        holding = [row[:length].any() for row, length in zip(credit, lengths, strict=True)]
        assert holding == (depths <= recall.depth(rate)).tolist()
        missed = n / (n + 1) * (1 - np.mean(holding)) + 1 / (n + 1)
        assert missed <= 1 - rate + 1e-9  # the bound of conformal risk control, by its letter


def test_no_shorter_list_would_do():
    shares, credit = drawn(3, 200)
    depths = np.sort(depths_of(shares, credit))
    recall = Recall.measured(depths, "drawn")
    for rate, depth in recall.depths.items():
        shorter = (depths < depth - 1e-6).mean()
        assert 200 / 201 * (1 - shorter) + 1 / 201 > 1 - rate / 100


@pytest.mark.parametrize("rate", [0.8, 0.9])
def test_over_many_draws_lists_hold_a_true_source_as_often_as_promised(rate):
    holding = []
    for seed in range(300):
        shares, credit = drawn(seed, 101)
        recall = Recall.measured(depths_of(shares[:100], credit[:100]), "drawn")
        [length] = recall.listed(rate, shares[100:])
        holding.append(credit[100, :length].any())
    error = np.sqrt(rate * (1 - rate) / 300)
    assert np.mean(holding) >= rate - 2.5 * error
    assert np.mean(holding) <= rate + 0.02 + 2.5 * error  # lists are not longer than they need be


def test_what_was_not_borne_out_is_refused_and_says_what_would_do():
    few = Recall.measured(np.array([0.0, 0.1, 0.2, np.inf]), "four")
    assert few.largest == 0.6  # three of five places
    with pytest.raises(
        RecallTooLarge, match=r"0\.9 .*at most 0\.6.*attribution calibrate"
    ) as caught:
        few.depth(0.9)
    assert caught.value.largest == 0.6
    with pytest.raises(RecallTooLarge, match="never measured"):
        Recall().depth(0.5)


def test_a_rate_between_two_takes_the_larger():
    assert Recall({90: 0.2, 91: 0.3}).depth(0.905) == 0.3
    assert Recall({90: 0.2, 91: 0.3}).depth(0.9) == 0.2


def test_it_is_kept_as_json():
    recall = Recall.measured(np.linspace(0, 0.9, 50), "fifty")
    assert Recall.of(recall.document) == recall
    assert Recall.of(None) == Recall()
    with pytest.raises(ValueError, match="parts of the credit"):
        Recall.of({"depths": {"90": 7.0}, "kinds": ""})

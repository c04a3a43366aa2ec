"""Token buckets: bursts, refill, and what the headers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.rates import Rates


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_burst_empties_the_bucket_and_time_fills_it(clock):
    rates = Rates({"query": 60}, clock=clock)
    burst = [rates.take("key", "query") for _ in range(61)]
    assert [one.retry_after for one in burst] == [None] * 60 + [1]
    assert [one.remaining for one in burst[:3]] == [59, 58, 57]
    assert (burst[0].reset, burst[-1].reset) == (1, 60)
    clock.now = 2.5
    assert [rates.take("key", "query").retry_after for _ in range(3)] == [None, None, 1]
    clock.now = 1e6
    assert rates.take("key", "query").remaining == 59


def test_keys_and_scopes_have_buckets_of_their_own(clock):
    rates = Rates({"query": 1, "curate": 1}, clock=clock)
    for key, scope in (("a", "query"), ("a", "curate"), ("b", "query")):
        assert rates.take(key, scope).retry_after is None
        assert rates.take(key, scope).retry_after == 60


def test_nought_is_no_limit(clock):
    assert Rates({"query": 0}, clock=clock).take("a", "query") is None
    assert Rates({}, clock=clock).take("a", "admin") is None


@given(
    limit=st.integers(1, 500),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=300),
)
def test_never_more_than_the_burst_and_what_time_has_brought(limit, steps):
    clock = Clock()
    rates = Rates({"query": limit}, clock=clock)
    passed = 0
    for step in steps:
        clock.now += step
        allowance = rates.take("key", "query")
        passed += allowance.retry_after is None
        assert passed <= limit + clock.now * limit / 60 + 1e-6
        assert 0 <= allowance.remaining < limit
        if allowance.retry_after is not None:
            assert 1 <= allowance.retry_after <= 60
    clock.now += 61
    assert rates.take("key", "query").retry_after is None

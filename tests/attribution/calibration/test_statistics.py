"""The statistic and the p-value against slow formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.calibration.copies import is_copy
from attribution.calibration.null import Null
from attribution.calibration.statistic import (
    DEPTH,
    NEIGHBOURS,
    SAME_SCORE,
    TooFewNeighbours,
    nearest,
    neighbourhood,
)


def slow_statistic(score, ranked, reference):
    below = [s for s in ranked[1:DEPTH] if np.isfinite(s) and s < ranked[0] - SAME_SCORE]
    largest = sorted(below + list(reference), reverse=True)[:NEIGHBOURS]
    return (score - np.mean(largest)) / np.std(largest)


@pytest.mark.parametrize("sources", [0, 1, 2, 30, 80])
@pytest.mark.parametrize("references", [8, 200])
def test_the_statistic_equals_the_rule_in_words(sources, references):
    rng = np.random.default_rng(sources + references)
    ranked = np.full((3, 80), -np.inf, np.float32)
    ranked[:, :sources] = -np.sort(-rng.normal(size=(3, sources)), axis=1)
    reference = rng.normal(size=(3, references)).astype(np.float32)
    found = neighbourhood(ranked, reference).standardise(ranked)
    for row in range(3):
        for place in range(min(sources, 5)):
            slow = slow_statistic(ranked[row, place], ranked[row], reference[row])
            assert found[row, place] == pytest.approx(slow, rel=1e-4, abs=1e-4)
    assert np.isneginf(found[:, sources:]).all()


def test_a_score_needs_neighbours():
    alone = np.array([[0.9, -np.inf, -np.inf]], np.float32)
    with pytest.raises(TooFewNeighbours, match="at least 8"):
        neighbourhood(alone, np.zeros((1, 7), np.float32))
    with pytest.raises(TooFewNeighbours):
        neighbourhood(np.zeros((1, 1), np.float32), np.zeros((1, 0), np.float32))


def test_equal_neighbours_do_not_divide_by_zero():
    ranked = np.full((1, 20), 0.5, np.float32)
    ranked[0, 0] = 0.6
    around = neighbourhood(ranked, np.zeros((1, 0), np.float32))
    assert np.isfinite(around.standardise(ranked)).all()


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=40),
    st.lists(st.floats(-6, 6, width=32), min_size=1, max_size=10),
)
def test_p_values_equal_counting(null, queries):
    p = Null(np.sort(np.float32(null)), 0).p_values(np.float32(queries))
    slow = [
        (1 + sum(x >= q for x in np.float32(null))) / (len(null) + 1) for q in np.float32(queries)
    ]
    assert p.tolist() == pytest.approx(slow)


def test_p_values_of_exchangeable_queries_keep_the_rate():
    rng = np.random.default_rng(0)
    rejected = []
    for _ in range(400):
        values = rng.gumbel(size=100).astype(np.float32)
        p = Null(np.sort(values[:99]), 0).p_values(values[99:])
        rejected.append(p[0] <= 0.1)
    assert abs(np.mean(rejected) - 0.1) < 0.05


def test_an_empty_gallery_rejects_nothing():
    null = Null(np.full(50, -np.inf, np.float32), 0)
    assert null.p_values(np.float32([-np.inf]))[0] == 1.0
    assert null.quantile(0.01) == -np.inf
    assert null.smallest_alpha == pytest.approx(1 / 51)


def test_copies_are_told_by_pixels_mirrored_too():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    brighter = (picture * 0.7 + 40).astype(np.uint8)
    other = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    flat = np.full((16, 16), 7, np.uint8)
    assert is_copy(picture, brighter)
    assert is_copy(picture, brighter[:, ::-1])
    assert not is_copy(picture, other)
    assert not is_copy(flat, flat)


@pytest.mark.parametrize("copies", [1, 4])
def test_a_picture_held_several_times_stands_as_high_as_once(copies):
    rng = np.random.default_rng(3)
    rest = -np.sort(-rng.normal(size=60)).astype(np.float32)
    once = np.concatenate([[8.0], rest]).astype(np.float32)[None]
    often = np.concatenate([[8.0] * copies, rest]).astype(np.float32)[None]
    reference = np.zeros((1, 0), np.float32)
    assert neighbourhood(often, reference).standardise(often)[0, 0] == pytest.approx(
        neighbourhood(once, reference).standardise(once)[0, 0], rel=1e-5
    )


@pytest.mark.parametrize("width", [3, NEIGHBOURS, 200])
def test_nearest_keeps_the_largest(width):
    scores = np.random.default_rng(0).normal(size=(4, width)).astype(np.float32)
    slow = -np.sort(-scores, axis=1)[:, :NEIGHBOURS]
    assert np.array_equal(-np.sort(-nearest(scores), axis=1), slow)

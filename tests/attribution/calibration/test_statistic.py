"""The statistic and the copy test against slow formulas."""

import numpy as np
import pytest

from attribution.calibration.statistic import (
    DEPTH,
    NEIGHBOURS,
    TooFewNeighbours,
    nearest,
    statistics_of,
    typical_deviation,
)


def slow_statistic(score, ranked, groups, reference, typical):
    pictures = {}  # the best score of each picture but the best one
    for s, g in zip(ranked, groups, strict=False):
        if np.isfinite(s) and g != 0:
            pictures.setdefault(g, []).append(s)
    second = min(pictures, default=None)
    below = [s for g, held in pictures.items() for s in (held[:1] if g == second else held)]
    largest = sorted(below + list(reference), reverse=True)[1 : NEIGHBOURS + 1]
    return (score - np.mean(largest)) / (np.std(largest) + typical)


def alone(ranked):
    """Groups of candidates that are all different pictures."""
    k = min(DEPTH, ranked.shape[1])
    return np.broadcast_to(np.arange(k, dtype=np.uint8), (len(ranked), k))


@pytest.mark.parametrize("sources", [0, 1, 2, 30, 80])
@pytest.mark.parametrize("references", [9, 200])
@pytest.mark.parametrize("doubles", [(), (1,), (3, 7, 20)])
@pytest.mark.parametrize(("of_second", "typical"), [((), 0.0), ((4, 9), 0.3)])
def test_the_statistic_equals_the_rule_in_words(sources, references, doubles, of_second, typical):
    rng = np.random.default_rng(sources + references)
    ranked = np.full((3, 80), -np.inf, np.float32)
    ranked[:, :sources] = -np.sort(-rng.normal(size=(3, sources)), axis=1)
    groups = alone(ranked).copy()
    groups[:, list(doubles)] = 0
    second = 2 if doubles == (1,) else 1
    groups[:, list(of_second)] = second
    reference = rng.normal(size=(3, references)).astype(np.float32)
    found = statistics_of(ranked, groups, reference, typical=typical)
    for row in range(3):
        for place in range(min(sources, 5)):
            slow = slow_statistic(
                ranked[row, place], ranked[row], groups[row], reference[row], typical
            )
            assert found[row, place] == pytest.approx(slow, rel=1e-4, abs=1e-4)
    assert np.isneginf(found[:, sources:]).all()


def test_a_score_needs_neighbours():
    few = np.array([[0.9, -np.inf, -np.inf]], np.float32)
    with pytest.raises(TooFewNeighbours, match="at least 8"):
        statistics_of(few, alone(few), np.zeros((1, 8), np.float32))
    one = np.zeros((1, 1), np.float32)
    with pytest.raises(TooFewNeighbours):
        statistics_of(one, alone(one), np.zeros((1, 0), np.float32))


def test_equal_neighbours_do_not_divide_by_zero():
    ranked = np.full((1, 20), 0.5, np.float32)
    ranked[0, 0] = 0.6
    assert np.isfinite(statistics_of(ranked, alone(ranked), np.zeros((1, 0), np.float32))).all()


def test_a_query_has_the_same_statistics_in_whatever_company():
    rng = np.random.default_rng(4)
    ranked = -np.sort(-rng.normal(size=(40, 64)), axis=1).astype(np.float32)
    reference = rng.normal(size=(40, 49)).astype(np.float32)
    groups = alone(ranked)
    together = statistics_of(ranked, groups, reference)
    for row in (0, 17, 39):
        own = slice(row, row + 1)
        assert np.array_equal(
            statistics_of(ranked[own], groups[own], reference[own])[0], together[row]
        )


@pytest.mark.parametrize("copies", [1, 4])
def test_a_picture_held_several_times_stands_as_high_as_once(copies):
    rng = np.random.default_rng(3)
    rest = -np.sort(-rng.normal(size=60)).astype(np.float32)
    once = np.concatenate([[8.0], rest]).astype(np.float32)[None]
    often = np.concatenate([[8.0] * copies, rest]).astype(np.float32)[None]
    groups = alone(often).copy()
    groups[:, :copies] = 0
    reference = np.zeros((1, 0), np.float32)
    assert statistics_of(often, groups, reference)[0, 0] == pytest.approx(
        statistics_of(once, alone(once), reference)[0, 0], rel=1e-5
    )


@pytest.mark.parametrize("width", [3, NEIGHBOURS, 200])
def test_nearest_keeps_the_largest(width):
    scores = np.random.default_rng(0).normal(size=(4, width)).astype(np.float32)
    slow = -np.sort(-scores, axis=1)[:, : NEIGHBOURS + 1]
    assert np.array_equal(nearest(scores), slow)


def test_two_sources_of_one_query_do_not_hide_each_other():
    rest = np.linspace(1, 0, 60, dtype=np.float32)
    one = np.concatenate([[9.0], rest])[None].astype(np.float32)
    two = np.concatenate([[9.0, 8.5], rest])[None].astype(np.float32)
    none = np.zeros((1, 0), np.float32)
    found = [statistics_of(scores, alone(scores), none)[0, 0] for scores in (one, two)]
    assert found[1] == pytest.approx(found[0], rel=0.05)


def test_the_typical_deviation_is_the_median_of_each_rows_own():
    scores = np.random.default_rng(1).normal(size=(60, 60)).astype(np.float32)
    own = [
        np.std(sorted(np.delete(row, place), reverse=True)[2 : NEIGHBOURS + 1])
        for place, row in enumerate(scores)
    ]
    assert typical_deviation(scores) == pytest.approx(np.median(own), rel=1e-5)
    assert typical_deviation(scores[:5, :5]) == 0

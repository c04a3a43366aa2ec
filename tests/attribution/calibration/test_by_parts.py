"""The statistic by parts against slow formulas."""

import numpy as np
import pytest

from attribution.calibration.by_parts import Tail, beside_statistics, joined_statistics
from attribution.calibration.statistic import DEPTH, TooFewNeighbours
from tests.support.statistics import slow_beside, slow_joined, slow_reference, slow_tail

PARTS = 3


@pytest.fixture(scope="module")
def among():
    return np.random.default_rng(0).gumbel(size=(PARTS, 90, 90)).astype(np.float32)


@pytest.fixture(scope="module")
def tails(among):
    return tuple(map(Tail.of, among))


def drawn(seed, n, k, references):
    """Parts of candidates, groups of a few doubles, and scores of reference images."""
    rng = np.random.default_rng(seed)
    parts = rng.gumbel(size=(n, k, PARTS)).astype(np.float32)
    parts[:, 0] += 6
    groups = np.broadcast_to(np.arange(min(k, DEPTH), dtype=np.uint8), (n, min(k, DEPTH))).copy()
    reference = rng.gumbel(size=(n, PARTS, references)).astype(np.float32)
    return parts, groups, reference


@pytest.mark.parametrize(("sources", "references"), [(1, 60), (5, 60), (70, 49), (120, 200)])
@pytest.mark.parametrize("doubles", [{}, {1: 0, 3: 0}, {2: 1, 4: 1}, {3: 2, 4: 2}])
def test_it_equals_the_rule_in_words(among, tails, sources, references, doubles):
    parts, groups, reference = drawn(sources, 3, 120, references)
    parts[:, sources:] = -np.inf
    for place, first in doubles.items():
        if place < sources:
            groups[:, place] = first
    slow = [slow_reference(each) for each in among]
    found = joined_statistics(parts, groups, reference, tails)
    for row in range(len(parts)):
        expected = slow_joined(parts[row], groups[row], reference[row], slow)
        assert found[row] == pytest.approx(np.array(expected), rel=1e-4, abs=1e-4)


def test_beside_others_it_counts_from_what_they_let_one_expect(among, tails):
    parts, groups, reference = drawn(9, 2, 60, 60)
    explained = parts - np.random.default_rng(1).exponential(size=parts.shape).astype(np.float32)
    explained[:, 20:] = -np.inf
    found = beside_statistics(parts, groups, reference, tails, explained)
    slow = [slow_reference(each) for each in among]
    for row in range(len(parts)):
        expected = slow_beside(parts[row], groups[row], reference[row], slow, explained[row])
        assert found[row] == pytest.approx(np.array(expected), rel=1e-4, abs=1e-4)
    unexplained = np.full_like(parts, -np.inf)
    alone = beside_statistics(parts, groups, reference, tails, unexplained)
    assert (found <= alone + 1e-5).all()
    assert (found[:, 0] < alone[:, 0]).all()
    assert alone[:, 0] == pytest.approx(joined_statistics(parts, groups, reference, tails)[:, 0])


def test_the_tail_is_the_share_of_reference_images_that_stand_as_high(among, tails):
    _, best = slow_reference(among[0])
    asked = np.linspace(best[0] - 1, best[-1] + 9, 400)
    found = tails[0].scores(asked.astype(np.float32))
    assert found == pytest.approx([slow_tail(u, best) for u in asked], rel=1e-4, abs=1e-4)
    assert (np.diff(found) >= 0).all()
    median = tails[0].scores(np.float32([np.median(best)]))
    assert median == pytest.approx(np.log(2), abs=0.05)


def test_without_reference_images_a_part_counts_as_it_stands():
    parts, groups, reference = drawn(1, 2, 60, 0)
    few = Tail.of(np.zeros((5, 5), np.float32))
    assert few.typical == 0
    assert not len(few.best)
    found = joined_statistics(parts[:, :, :1], groups, reference[:, :1], (few,))
    own = np.sort(np.delete(parts[0, :, 0], parts[0, :, 0].argmax()))[::-1][1:49]
    assert found[0, 0] == pytest.approx((parts[0, 0, 0] - own.mean()) / own.std(), rel=1e-4)


def test_a_source_of_one_part_stands_out_whatever_the_others_say(tails):
    parts, groups, reference = drawn(4, 1, 80, 60)
    parts[0, 0] = [9.0, 0.0, 0.0]
    wide = parts.copy()
    wide[0, 1:40, 2] *= 20  # a part whose scores are high for anything
    narrow = joined_statistics(parts, groups, reference, tails)[0, 0]
    assert joined_statistics(wide, groups, reference, tails)[0, 0] > 0.8 * narrow


def test_no_rank_has_a_larger_one_than_the_ranks_above_and_gone_sources_have_none(tails):
    parts, groups, reference = drawn(5, 4, 80, 60)
    parts[:, 5] += 30
    parts[1, 3] = -np.inf
    found = joined_statistics(parts, groups, reference, tails)
    assert np.isneginf(found[1, 3])
    for row in found:
        there = row[np.isfinite(row)]
        assert (np.diff(there) <= 0).all()


def test_a_query_has_the_same_in_whatever_company(tails):
    parts, groups, reference = drawn(6, 30, 70, 60)
    together = joined_statistics(parts, groups, reference, tails)
    for row in (0, 11, 29):
        own = slice(row, row + 1)
        alone = joined_statistics(parts[own], groups[own], reference[own], tails)
        assert np.array_equal(alone[0], together[row])


def test_it_needs_neighbours(tails):
    parts, groups, reference = drawn(7, 1, 4, 8)
    with pytest.raises(TooFewNeighbours, match="at least 8"):
        joined_statistics(parts[:, :1], groups[:, :1], reference, tails)

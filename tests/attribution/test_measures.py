"""Measures against slow loops over whole ranked lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.measures import (
    RECALL_GRID,
    average_precision,
    average_precision_ceiling,
    best_columns,
    hit_at,
    interpolated_precision,
    precision_recall,
    recall_at,
    recall_ceiling,
    recall_curve,
    truth_ranks,
)

SIZE = 30
rank_lists = st.lists(st.integers(1, SIZE), min_size=1, max_size=8, unique=True)
depths = st.integers(1, SIZE)
coarse = st.lists(st.integers(0, 4), min_size=1, max_size=25)  # many equal scores


def ranked_list(ranks):
    """The whole list, best first: whether each place holds a true source."""
    return [place in ranks for place in range(1, SIZE + 1)]


def slow_average_precision(ranks, cut):
    found, total = 0, 0.0
    for place, true in enumerate(ranked_list(ranks)[:cut], start=1):
        if true:
            found += 1
            total += found / place
    return total / len(ranks)


@given(coarse, st.data())
def test_ranks_are_places_in_a_stable_sort(scores, data):
    row = np.array(scores, np.float32)
    order = np.argsort(-row, kind="stable").tolist()
    truths = data.draw(st.lists(st.sampled_from(range(len(row))), unique=True, max_size=5))
    assert truth_ranks(row, truths) == tuple(order.index(column) + 1 for column in truths)


@given(coarse, st.integers(1, 30), st.sets(st.integers(0, 24)))
def test_best_columns_begin_a_stable_sort_without_what_is_hidden(scores, k, hidden):
    row = np.array(scores, np.float32)
    hidden = {column for column in hidden if column < len(row)}
    row[list(hidden)] = -np.inf
    order = [c for c in np.argsort(-row, kind="stable").tolist() if c not in hidden]
    assert best_columns(row, k).tolist() == order[:k]


@given(rank_lists, st.none() | depths)
def test_average_precision_is_that_of_the_whole_list(ranks, cut):
    assert average_precision(ranks, cut) == pytest.approx(slow_average_precision(ranks, cut))


@given(rank_lists, depths)
def test_hits_and_recall_count_the_head_of_the_list(ranks, k):
    head = ranked_list(ranks)[:k]
    assert hit_at(ranks, k) == float(any(head))
    assert recall_at(ranks, k) == pytest.approx(sum(head) / len(ranks))


@given(rank_lists, depths)
def test_no_ranking_passes_the_ceilings_and_the_perfect_one_reaches_them(ranks, k):
    count = len(ranks)
    perfect = range(1, count + 1)
    assert recall_at(ranks, k) <= recall_ceiling(count, k)
    assert recall_at(perfect, k) == recall_ceiling(count, k)
    assert average_precision(ranks, k) <= average_precision_ceiling(count, k) + 1e-12
    assert average_precision(perfect, k) == pytest.approx(average_precision_ceiling(count, k))


def test_thirteen_sources_cannot_be_among_five():
    assert recall_ceiling(13, 5) == 5 / 13
    assert average_precision_ceiling(13) == 1.0


@given(rank_lists)
def test_interpolated_precision_is_the_best_at_or_beyond_each_recall(ranks):
    places = ranked_list(ranks)
    slow = []
    for level in RECALL_GRID:
        best = 0.0
        for end in range(1, SIZE + 1):
            found = sum(places[:end])
            if found and found / len(ranks) >= level - 1e-9:
                best = max(best, found / end)
        slow.append(best)
    assert interpolated_precision(ranks) == pytest.approx(slow)


def test_curves_are_means_over_queries():
    queries = [(1, 4), (2,), (30,)]
    slow = np.mean([interpolated_precision(ranks) for ranks in queries], axis=0)
    assert precision_recall(queries) == pytest.approx(slow)
    assert recall_curve(queries, (1, 2, 4, 30)) == pytest.approx([0.5 / 3, 0.5, 2 / 3, 1.0])
    with pytest.raises(ValueError, match="at least one query"):
        precision_recall([])

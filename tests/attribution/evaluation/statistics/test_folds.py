"""Folds that share no source: the promise on which supervised figures rest."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.evaluation.statistics.folds import (
    LEAST_GROUPS,
    TooFewGroups,
    folds_of,
    source_groups,
)

truths = st.lists(
    st.lists(st.integers(0, 30), max_size=3, unique=True).map(tuple), min_size=1, max_size=40
)


def slow_components(truth):
    """Reachability by repeated joining of queries that share a column."""
    together = [{row} for row in range(len(truth))]
    changed = True
    while changed:
        changed = False
        for a, b in itertools.combinations(range(len(truth)), 2):
            if together[a] is not together[b] and set(truth[a]) & set(truth[b]):
                union = together[a] | together[b]
                for row in union:
                    together[row] = union
                changed = True
    return together


@given(truths)
def test_groups_equal_reachability(truth):
    labels, slow = source_groups(truth), slow_components(truth)
    for a, b in itertools.combinations(range(len(truth)), 2):
        assert (labels[a] == labels[b]) == (b in slow[a])


@given(truths, st.integers(4, 7), st.integers(0, 3))
def test_no_source_is_in_two_folds(truth, count, seed):
    labelled = {
        label for label, columns in zip(source_groups(truth), truth, strict=True) if columns
    }
    if len(labelled) < LEAST_GROUPS:
        with pytest.raises(TooFewGroups, match="groups"):
            folds_of(truth, count, seed)
        return
    folds = folds_of(truth, count, seed)
    seen = {}
    for fold, columns in zip(folds, truth, strict=True):
        for column in columns:
            assert seen.setdefault(column, fold) == fold
    used = {fold for fold, columns in zip(folds, truth, strict=True) if columns}
    assert used == set(range(min(count, len(labelled))))


def test_folds_are_balanced_and_follow_the_seed():
    truth = [(query // 3,) for query in range(300)]
    folds = folds_of(truth, 5, 0)
    assert np.bincount(folds).tolist() == [60] * 5
    assert np.array_equal(folds, folds_of(truth, 5, 0))
    assert not np.array_equal(folds, folds_of(truth, 5, 1))

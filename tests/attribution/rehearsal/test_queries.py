"""Plans use every source alike, keep folds apart, and are the same for the same seed."""

from collections import Counter

import numpy as np
import pytest

from attribution.rehearsal.queries import Plan, make_query, plan_queries
from attribution.synthesis import collage
from tests.support.pictures import picture


def test_half_of_the_plans_have_one_source_and_half_are_laundered():
    plans = plan_queries(30, 160, seed=0)
    kinds = Counter((plan.kind, plan.laundered) for plan in plans)
    for laundered in (True, False):
        assert kinds["one", laundered] == 40
        assert kinds["two", laundered] == kinds["collage", laundered] == 20
    assert all(len(plan.sources) == (1 if plan.kind == "one" else 2) for plan in plans)
    assert all(len(set(plan.sources)) == len(plan.sources) for plan in plans)


def test_no_source_is_in_two_folds_and_each_comes_first_alike_often():
    plans = plan_queries(30, 120, seed=0)
    folds = [
        {place for plan in plans if plan.fold == fold for place in plan.sources} for fold in (0, 1)
    ]
    assert not folds[0] & folds[1]
    assert folds[0] | folds[1] == set(range(30))
    first = Counter(plan.sources[0] for plan in plans)
    assert set(first.values()) == {4}


def test_the_seed_decides():
    assert plan_queries(20, 40, seed=1) == plan_queries(20, 40, seed=1)
    assert plan_queries(20, 40, seed=1) != plan_queries(20, 40, seed=2)


def test_two_folds_need_two_sources_each():
    with pytest.raises(ValueError, match="4 sources"):
        plan_queries(3, 40, seed=0)


@pytest.mark.parametrize("laundered", [False, True])
@pytest.mark.parametrize(("kind", "sources"), [("one", 1), ("two", 2), ("collage", 2)])
def test_a_plan_makes_the_same_picture_again(kind, sources, laundered):
    plan = Plan(kind, tuple(range(sources)), 0, laundered, 5)
    pictures = [picture(seed) for seed in range(sources)]
    first, second = (make_query(plan, pictures, size=48) for _ in range(2))
    assert first.mode == "RGB"
    assert np.array_equal(np.asarray(first), np.asarray(second))
    assert (max(first.size) < 48) == laundered


def test_a_mask_of_the_same_seed_says_how_much_of_a_collage_each_source_gave():
    pictures = [picture(0), picture(1)]
    made = make_query(Plan("collage", (0, 1), 0, laundered=False, seed=3), pictures, size=48)
    first = np.asarray(pictures[0].resize(made.size, 1)).astype(int)
    same = (np.abs(np.asarray(made).astype(int) - first).max(axis=2) == 0).mean()
    area = collage(*pictures, mask_seed=3, size=48).mask.mean()
    assert area == pytest.approx(same, abs=0.02)

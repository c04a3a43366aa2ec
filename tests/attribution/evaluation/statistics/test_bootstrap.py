"""Components against a slow closure, intervals against a slow bootstrap."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.evaluation.statistics.bootstrap import (
    Interval,
    clustered_means,
    components,
    mean_intervals,
    paired_difference,
    resampled_over_runs,
)


def case(keys, in_set="a", excluded=()):
    return Case(
        Path("query.png"),
        tuple(Truth(str(key)) for key in keys),
        in_set,
        excluded=frozenset(map(str, excluded)),
    )


def slow_components(cases):
    """Merge groups until nothing changes."""
    nodes = [{t.key for t in c.truths} | c.excluded for c in cases]
    labels = list(range(len(cases)))
    changed = True
    while changed:
        changed = False
        for i, first in enumerate(nodes):
            for j, second in enumerate(nodes):
                if first & second and labels[i] != labels[j]:
                    labels[i] = labels[j] = min(labels[i], labels[j])
                    changed = True
    return labels


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 9), min_size=1, max_size=3),
            st.sampled_from("ab"),
            st.sets(st.integers(0, 9), max_size=1),
        ),
        min_size=1,
        max_size=14,
    )
)
def test_components_are_those_of_a_slow_closure(described):
    cases = [case(*each) for each in described]
    found, slow = components(cases).tolist(), slow_components(cases)
    for i in range(len(cases)):
        for j in range(len(cases)):
            assert (found[i] == found[j]) == (slow[i] == slow[j])


def test_two_images_of_one_subject_are_one_component():
    assert components([case("b", excluded="a"), case("a", excluded="b")]).tolist() == [0, 0]


def test_a_case_without_sources_is_refused():
    with pytest.raises(ValueError, match="no true source"):
        components([case([])])


def made(seed=0):
    """Two sets; queries of one source agree, so images overstate what is known."""
    rng = np.random.default_rng(seed)
    cases, values = [], []
    for name, sources in (("a", 12), ("b", 5)):
        for source in range(sources):
            level = rng.uniform()
            for _ in range(int(rng.integers(1, 9))):
                cases.append(case([f"{name}{source}"], name))
                values.append(np.clip(level + rng.normal(scale=0.02), 0, 1))
    return cases, np.array(values)


def slow_bootstrap(values, cases, draws, seed):
    """Draw whole components, with loops."""
    rng = np.random.default_rng(seed)
    labels = slow_components(cases)
    means = []
    for _ in range(draws):
        in_sets = []
        for name in ("a", "b"):
            own = sorted({label for label, c in zip(labels, cases, strict=True) if c.set == name})
            drawn = rng.choice(own, len(own))
            picked = [values[[label == each for each in labels]] for label in drawn]
            in_sets.append(np.concatenate(picked).mean())
        means.append((*in_sets, np.mean(in_sets)))
    return np.array(means)


def test_intervals_are_those_of_drawing_whole_components():
    cases, values = made()
    found = mean_intervals(values, cases, draws=20_000)
    slow = np.quantile(slow_bootstrap(values, cases, 1500, 1), [0.025, 0.975], axis=0)
    for place, interval in enumerate([found.sets["a"], found.sets["b"], found.mean]):
        assert interval.low == pytest.approx(slow[0, place], abs=0.03)
        assert interval.high == pytest.approx(slow[1, place], abs=0.03)
    means = [values[[c.set == name for c in cases]].mean() for name in ("a", "b")]
    assert found.sets["a"].value == pytest.approx(means[0])
    assert found.mean.value == pytest.approx(np.mean(means))


def test_queries_of_one_source_count_as_one():
    cases, values = made()
    alone = [case([number], each.set) for number, each in enumerate(cases)]
    joined, apart = mean_intervals(values, cases).mean, mean_intervals(values, alone).mean
    assert joined.high - joined.low > 1.5 * (apart.high - apart.low)


def shared():
    """Twenty sources of queries in two sets, the same figures in both, and a few in a third."""
    levels = np.random.default_rng(2).uniform(size=20)
    cases = [case([source], name) for name in "ab" for source in range(20)]
    cases += [case([source], "c") for source in (3, 19)]
    return cases, np.concatenate([levels, levels, levels[[3, 19]]])


def test_a_source_of_two_sets_is_drawn_for_both_at_once():
    cases, values = shared()
    found = mean_intervals(values[:40], cases[:40])
    assert found.mean == found.sets["a"] == found.sets["b"], "no wider and no narrower"
    alone = mean_intervals(values[:20], cases[:20])
    assert found.mean == alone.mean
    drawn = resampled_over_runs(values[None, None, :40], cases[:40])
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([alone.mean.low, alone.mean.high])


def test_a_set_that_few_components_touch_is_never_empty():
    cases, values = shared()
    found = mean_intervals(values, cases)
    few = found.sets["c"]
    assert sorted([few.low, few.high]) == pytest.approx(sorted(values[-2:]))
    assert found.mean.low < found.mean.value < found.mean.high


def test_a_pairing_is_narrower_than_two_intervals():
    cases, values = made()
    better = values + 0.01
    found = paired_difference(better, values, cases)
    assert found.mean.value == pytest.approx(0.01)
    assert found.mean.excludes_zero
    assert found.mean.high - found.mean.low < 1e-9
    assert not paired_difference(values, values, cases).mean.excludes_zero
    with pytest.raises(ValueError, match="paired"):
        paired_difference(better[:-1], values, cases)


def test_the_same_seed_gives_the_same_interval():
    cases, values = made()
    assert mean_intervals(values, cases) == mean_intervals(values, cases)
    assert mean_intervals(values, cases) != mean_intervals(values, cases, seed=1)


def test_one_component_says_nothing_of_how_a_figure_varies():
    cases = [case([0]), case([0]), case([1], "b"), case([2], "b")]
    found = mean_intervals(np.array([0.0, 1.0, 0.5, 0.7]), cases)
    assert found.sets["a"] == Interval(0.5, None, None)
    assert found.sets["b"].low == 0.5
    assert found.mean == Interval(pytest.approx(0.55), None, None)
    assert not found.mean.excludes_zero


def test_figures_that_are_resampled_together_have_the_intervals_they_have_alone():
    cases, values = made()
    groups, other = components(cases), np.random.default_rng(4).random(len(values))
    together = clustered_means([values, other], groups)
    assert together == (*clustered_means([values], groups), *clustered_means([other], groups))
    one_set = [case for case in cases if case.set == "a"]
    [alone] = clustered_means([values[: len(one_set)]], components(one_set))
    assert alone == mean_intervals(values[: len(one_set)], one_set).mean


def slow_over_runs(values, cases, draws, seed):
    """Draw bases, runs within each, and components within each set, with loops."""
    rng = np.random.default_rng(seed)
    labels = slow_components(cases)
    bases, runs, _ = values.shape
    means = []
    for _ in range(draws):
        in_sets = []
        picked = [
            (base, run)
            for base in rng.integers(bases, size=bases)
            for run in rng.integers(runs, size=runs)
        ]
        for name in ("a", "b"):
            own = sorted({label for label, c in zip(labels, cases, strict=True) if c.set == name})
            rows = [
                row
                for drawn in rng.choice(own, len(own))
                for row, label in enumerate(labels)
                if label == drawn
            ]
            in_sets.append(np.mean([values[base, run][rows].mean() for base, run in picked]))
        means.append(np.mean(in_sets))
    return np.array(means)


def test_resampling_over_runs_is_that_of_drawing_bases_runs_and_components():
    cases, values = made()
    rng = np.random.default_rng(5)
    shifts = rng.normal(scale=0.5, size=(3, 1, 1)) + rng.normal(scale=0.3, size=(3, 4, 1))
    of_runs = values + shifts
    found = np.quantile(resampled_over_runs(of_runs, cases), [0.05, 0.5, 0.95])
    slow = np.quantile(slow_over_runs(of_runs, cases, 800, 1), [0.05, 0.5, 0.95])
    assert found == pytest.approx(slow, abs=0.05)
    alone = np.quantile(resampled_over_runs(of_runs[:1, :1], cases), [0.05, 0.95])
    assert found[2] - found[0] > 1.3 * (alone[1] - alone[0])


def test_one_run_alone_is_resampled_over_its_components_only():
    cases, values = made()
    found = np.quantile(resampled_over_runs(values[None, None], cases), [0.025, 0.975])
    mean = mean_intervals(values, cases).mean
    assert found == pytest.approx([mean.low, mean.high])


def test_bases_and_runs_vary_as_means_of_so_many_drawn_ones():
    cases, values = made()
    levels = np.array([0.1, 0.4, 0.9])
    flat = np.zeros((3, 1, len(values)))
    of_bases = resampled_over_runs(flat + levels[:, None, None], cases)
    of_runs = resampled_over_runs(flat.transpose(1, 0, 2) + levels[None, :, None], cases)
    for found in (of_bases, of_runs):
        assert found.mean() == pytest.approx(levels.mean(), abs=0.01)
        assert found.std() == pytest.approx(levels.std() / 3**0.5, rel=0.05)

"""Intervals for means over queries that share sources. Knows no ranks and no methods.

Queries made from one source rise and fall together, so what is resampled are not queries but the
connected components of the graph that joins each query to its sources. One that has queries in
several sets is drawn for all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.benchmark.cases import Case
from attribution.evaluation.statistics.folds import leaders

Values = NDArray[np.float64]
LEVEL, DRAWS, SEED = 0.95, 10_000, 0
_BLOCK = 1_000  # draws at once; bounds memory where there are thousands of components


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it lies under resampling.

    `low` and `high` are None where a set has fewer than two components: then nothing is known of
    how the figure varies.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval is on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Intervals:
    """One figure for each set, and the mean over the sets."""

    sets: Mapping[str, Interval]
    mean: Interval


def components(cases: Sequence[Case]) -> NDArray[np.intp]:
    """`(n,)` number of each case's connected component, whatever sets its cases are of.

    Nodes are the sources, and images that are query and source at once (leave-one-out).
    """
    nodes = []
    for case in cases:
        keys = sorted({truth.key for truth in case.truths} | case.excluded)
        if not keys:
            raise ValueError(
                f"{case.picture.place} has no true source, so nothing joins it to others"
            )
        nodes.append(keys)
    numbers: dict[str | None, int] = {}
    return np.array([numbers.setdefault(node, len(numbers)) for node in leaders(nodes)], np.intp)


def mean_intervals(
    values: Values,
    cases: Sequence[Case],
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Intervals:
    """Percentile bootstrap of the mean of each set and of the mean over sets.

    Args:
        values: `(n,)` one figure a case, such as its average precision. Give the differences of
            two methods on the same cases for the paired comparison.
        cases: the cases.
        level: of the interval.
        draws: resamples.
        seed: of the resampling; the same for every method, so that intervals can be compared.
    """
    sets = np.array([case.set for case in cases])
    found = _resampled_sets([values], cases, draws, np.random.default_rng(seed))
    points = {name: float(values[sets == name].mean()) for name in found}
    return Intervals(
        {
            name: _interval(points[name], each.means[0], level, known=each.components > 1)
            for name, each in found.items()
        },
        _interval(
            float(np.mean([*points.values()])),
            np.mean([each.means[0] for each in found.values()], axis=0),
            level,
            known=all(each.components > 1 for each in found.values()),
        ),
    )


def paired_difference(first: Values, second: Values, cases: Sequence[Case]) -> Intervals:
    """Interval of `first - second`, both measured on the same cases, resampled together."""
    if first.shape != second.shape:
        raise ValueError(f"a paired comparison of {len(first)} with {len(second)} cases")
    return mean_intervals(first - second, cases)


def resampled_over_runs(
    values: Values, cases: Sequence[Case], *, draws: int = DRAWS, seed: int = SEED
) -> Values:
    """`(draws,)` means over sets of a figure that also varies with what was trained.

    Components are drawn as in `mean_intervals`, and independently of them the first trainings, and
    within each that is drawn the second ones: what a seed adds is as uncertain as what an image
    adds. Few seeds tell little, and a bootstrap of `k` of them is too narrow by
    `sqrt((k - 1) / k)` in what they add; one of them adds nothing.

    Args:
        values: `(b, s, n)`, of `b` bases with `s` runs on each, one figure a case.
        cases: the cases.
        draws: resamples.
        seed: of the resampling.
    """
    bases, runs, _ = values.shape
    rng = np.random.default_rng(seed)
    found = _resampled_sets([*values.reshape(bases * runs, -1)], cases, draws, rng)
    of_sets = [np.stack(each.means, axis=1) for each in found.values()]
    means = np.mean(of_sets, axis=0).reshape(draws, bases, runs)
    within = rng.multinomial(runs, np.full(runs, 1 / runs), size=(draws, bases)) / runs
    between = rng.multinomial(bases, np.full(bases, 1 / bases), size=draws) / bases
    return np.asarray(((means * within).sum(axis=2) * between).sum(axis=1), np.float64)


def clustered_means(values: Sequence[Values], groups: NDArray[np.intp]) -> tuple[Interval, ...]:
    """Percentile bootstrap of means over queries of any sets, whose groups are given.

    Args:
        values: of each figure `(n,)`, one value a query; all are resampled together.
        groups: `(n,)` number of the group that each query belongs to.
    """
    all_of_them = _Totals.of(values, groups, np.unique(groups))
    [found] = _resampled([all_of_them], DRAWS, np.random.default_rng(SEED))
    return tuple(
        _interval(float(each.mean()), means, LEVEL, known=found.components > 1)
        for each, means in zip(values, found.means, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Totals:
    """Sums of each figure and count of each component that may be drawn, 0 of one elsewhere."""

    sums: list[Values]
    counts: Values

    @classmethod
    def of(
        cls, values: Sequence[Values], joined: NDArray[np.intp], drawn: NDArray[np.intp]
    ) -> _Totals:
        places, number = np.searchsorted(drawn, joined), len(drawn)
        sums = [np.bincount(places, each, number).astype(np.float64) for each in values]
        return cls(sums, np.bincount(places, minlength=number).astype(np.float64))


@dataclass(frozen=True, slots=True)
class _Resampled:
    """`(draws,)` means of each figure in a set, which has so many components."""

    means: list[Values]
    components: int


def _resampled_sets(
    values: Sequence[Values], cases: Sequence[Case], draws: int, rng: np.random.Generator
) -> dict[str, _Resampled]:
    """By set; sets that have a component in common, directly or through others, together."""
    joined = components(cases)
    sets = np.array([case.set for case in cases])
    nodes = [
        [(case.set, -1), ("", each)] for case, each in zip(cases, joined.tolist(), strict=True)
    ]
    names: dict[tuple[str, int] | None, dict[str, None]] = {}
    for family, case in zip(leaders(nodes), cases, strict=True):
        names.setdefault(family, {})[case.set] = None
    found: dict[str, _Resampled] = {}
    for together in names.values():
        drawn = np.unique(joined[np.isin(sets, [*together])])
        insides = [sets == name for name in together]
        totals = [_Totals.of([v[own] for v in values], joined[own], drawn) for own in insides]
        found |= zip(together, _resampled(totals, draws, rng), strict=True)
    return {name: found[name] for name in dict.fromkeys(sets.tolist())}


def _resampled(
    sets: Sequence[_Totals], draws: int, rng: np.random.Generator
) -> tuple[_Resampled, ...]:
    """Means of as many components as there are, with replacement, the same ones in all sets.

    A set with few of them may have none in a draw; then one of its own is drawn besides.
    """
    number = len(sets[0].counts)
    chances = np.full(number, 1.0 / number)
    means: list[list[list[Values]]] = [[[] for _ in each.sums] for each in sets]
    for start in range(0, draws, _BLOCK):
        times = rng.multinomial(number, chances, min(_BLOCK, draws - start)).astype(np.float64)
        for each in sets:
            without = np.flatnonzero(times @ each.counts == 0)
            times[without, rng.choice(np.flatnonzero(each.counts), len(without))] += 1
        for each, of_set in zip(sets, means, strict=True):
            counted = times @ each.counts
            for sums, found in zip(each.sums, of_set, strict=True):
                found.append((times @ sums) / counted)
    return tuple(
        _Resampled([np.concatenate(found) for found in of_set], int((each.counts > 0).sum()))
        for each, of_set in zip(sets, means, strict=True)
    )


def _interval(point: float, resampled: Values, level: float, *, known: bool) -> Interval:
    if not known:
        return Interval(point, None, None)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(point, float(low), float(high))

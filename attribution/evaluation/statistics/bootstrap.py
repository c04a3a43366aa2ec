"""Intervals for means over queries that share sources. Knows no ranks and no methods.

Queries made from one source rise and fall together, so what is resampled are not queries but the
connected components of the graph that joins each query to its sources, within each set.
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
    """`(n,)` number of each case's connected component; cases of two sets are never joined.

    Nodes are the sources, and images that are query and source at once (leave-one-out).
    """
    nodes = []
    for case in cases:
        keys = sorted({truth.key for truth in case.truths} | case.excluded)
        if not keys:
            raise ValueError(
                f"{case.picture.place} has no true source, so nothing joins it to others"
            )
        nodes.append([(case.set, key) for key in keys])
    numbers: dict[tuple[str, str] | None, int] = {}
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
    joined = components(cases)
    sets = np.array([case.set for case in cases])
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(case.set for case in cases))
    resampled = []
    known = []
    for name in names:
        inside = sets == name
        [sums], counts = _totals([values[inside]], joined[inside])
        known.append(len(counts) > 1)
        resampled += _resampled_means([sums], counts, draws, rng)
    points = [float(values[sets == name].mean()) for name in names]
    return Intervals(
        {
            name: _interval(point, found, level, known=enough)
            for name, point, found, enough in zip(names, points, resampled, known, strict=True)
        },
        _interval(float(np.mean(points)), np.mean(resampled, axis=0), level, known=all(known)),
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
    joined = components(cases)
    sets = np.array([case.set for case in cases])
    rng = np.random.default_rng(seed)
    of_sets = []
    for name in dict.fromkeys(case.set for case in cases):
        inside = sets == name
        flat = [row[inside] for row in values.reshape(bases * runs, -1)]
        sums, counts = _totals(flat, joined[inside])
        of_sets.append(np.stack(_resampled_means(sums, counts, draws, rng), axis=1))
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
    sums, counts = _totals(values, groups)
    resampled = _resampled_means(sums, counts, DRAWS, np.random.default_rng(SEED))
    return tuple(
        _interval(float(each.mean()), means, LEVEL, known=len(counts) > 1)
        for each, means in zip(values, resampled, strict=True)
    )


def _totals(values: Sequence[Values], joined: NDArray[np.intp]) -> tuple[list[Values], Values]:
    """Sums of each figure and count of each component."""
    _, places = np.unique(joined, return_inverse=True)
    sums = [np.bincount(places, weights=each).astype(np.float64) for each in values]
    return sums, np.bincount(places).astype(np.float64)


def _resampled_means(
    sums: Sequence[Values], counts: Values, draws: int, rng: np.random.Generator
) -> list[Values]:
    """Of each figure `(draws,)` means of as many components as there are, with replacement."""
    number = len(counts)
    chances = np.full(number, 1.0 / number)
    means: list[list[Values]] = [[] for _ in sums]
    for start in range(0, draws, _BLOCK):
        weights = rng.multinomial(number, chances, size=min(_BLOCK, draws - start))
        times = weights.astype(np.float64)
        drawn = times @ counts
        for each, found in zip(sums, means, strict=True):
            found.append((times @ each) / drawn)
    return [np.concatenate(found) for found in means]


def _interval(point: float, resampled: Values, level: float, *, known: bool) -> Interval:
    if not known:
        return Interval(point, None, None)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(point, float(low), float(high))

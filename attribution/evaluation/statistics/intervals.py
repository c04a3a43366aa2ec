"""Intervals for rates: exact for independent queries, and for queries that come in groups.

Pure mathematics over counts. Needs the extra `evaluate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

try:
    from scipy.special import betaincinv, stdtrit
except ImportError as error:  # pragma: no cover - every test has it
    raise ImportError(
        "intervals of rates need the extra `evaluate`: pip install 'attribution[evaluate]'"
    ) from error

LEVEL = 0.95
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its 95 % intervals.

    Attributes:
        count: queries of which it is true.
        total: queries.
        value: `count / total`.
        low: Clopper-Pearson, as if all queries were independent; `high` likewise.
        groups: independent groups that the queries come in.
        grouped_low: Korn-Graubard, which takes the groups for what is independent; `grouped_high`
            likewise. Equal to Clopper-Pearson where every query is a group of its own; None where
            one group leaves it unknown.
    """

    count: int
    total: int
    value: float
    low: float
    high: float
    groups: int
    grouped_low: float | None
    grouped_high: float | None


def rate(hits: NDArray[np.bool_], groups: NDArray[np.intp]) -> Rate:
    """The rate of `hits`, `(n,)`, whose queries belong to `groups`, `(n,)` numbers.

    Raises:
        ValueError: no queries, or arrays of two lengths.
    """
    if len(hits) == 0 or len(hits) != len(groups):
        raise ValueError(f"a rate of {len(hits)} queries in {len(groups)} groups")
    count, total = int(hits.sum()), len(hits)
    low, high = clopper_pearson(count, total)
    grouped = korn_graubard(hits, groups)
    return Rate(
        count=count,
        total=total,
        value=count / total,
        low=low,
        high=high,
        groups=len(np.unique(groups)),
        grouped_low=None if grouped is None else grouped[0],
        grouped_high=None if grouped is None else grouped[1],
    )


def clopper_pearson(count: float, total: float) -> tuple[float, float]:
    r"""The exact interval of a binomial proportion (Clopper and Pearson, Biometrika 1934).

    .. math:: \big[ B_{a/2}(x, n-x+1),\; B_{1-a/2}(x+1, n-x) \big], \qquad a = 0.05

    with :math:`B_q` the quantile of the beta distribution. Neither number needs to be whole, which
    `korn_graubard` makes use of.

    Raises:
        ValueError: `count` is not in [0, `total`], or `total` is not positive.
    """
    if not 0 <= count <= total or total <= 0:
        raise ValueError(f"{count} of {total} is no proportion")
    tail = (1 - LEVEL) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, tail))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - tail))
    return low, high


def korn_graubard(hits: NDArray[np.bool_], groups: NDArray[np.intp]) -> tuple[float, float] | None:
    r"""An interval for a proportion over groups of queries that succeed and fail together.

    Clopper-Pearson with the number of queries that would be worth as much if they were independent
    (Korn and Graubard, Survey Methodology 1998):

    .. math::

        n^* = \frac{p(1-p)}{\hat v} \left( \frac{t_{n-1}}{t_{g-1}} \right)^2, \qquad
        \hat v = \frac{g}{g-1} \sum_c \frac{(x_c - p\,n_c)^2}{n^2}

    over g groups of :math:`n_c` queries with :math:`x_c` hits, and never more than n. Where all
    queries agree nothing tells how groups vary, and each group counts as one query. A bootstrap
    would give an interval of no width there.

    Returns:
        None with fewer than two groups.
    """
    _, places = np.unique(groups, return_inverse=True)
    sizes = np.bincount(places).astype(np.float64)
    number, total = len(sizes), len(hits)
    if number < 2:
        return None
    value = float(hits.mean())
    if number == total:
        return clopper_pearson(int(hits.sum()), total)
    if value in (0.0, 1.0):
        return clopper_pearson(value * number, number)
    inside = np.bincount(places, weights=hits.astype(np.float64))
    variance = number / (number - 1) * float(((inside - value * sizes) ** 2).sum()) / total**2
    tail = (1 + LEVEL) / 2
    widened = float(stdtrit(total - 1, tail) / stdtrit(number - 1, tail)) ** 2
    worth = min(float(total), value * (1 - value) / max(variance, _TINY) * widened)
    return clopper_pearson(value * worth, worth)

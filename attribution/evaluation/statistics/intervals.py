"""Intervals for rates: exact for independent queries, and for queries that come in groups.

Pure mathematics over counts. The serving install has no SciPy, so the beta quantile is here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_HALVINGS = 200  # a double is exact long before
_TERMS = 10_000
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


def clopper_pearson(count: float, total: float, level: float = LEVEL) -> tuple[float, float]:
    r"""The exact interval of a binomial proportion (Clopper and Pearson, Biometrika 1934).

    .. math:: \big[ B_{a/2}(x, n-x+1),\; B_{1-a/2}(x+1, n-x) \big], \qquad a = 1 - \text{level}

    with :math:`B_q` the quantile of the beta distribution. Neither number needs to be whole, which
    `korn_graubard` makes use of.

    Raises:
        ValueError: `count` is not in [0, `total`], or `total` is not positive.
    """
    if not 0 <= count <= total or total <= 0:
        raise ValueError(f"{count} of {total} is no proportion")
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else beta_quantile(tail, count, total - count + 1)
    high = 1.0 if count == total else beta_quantile(1 - tail, count + 1, total - count)
    return low, high


def korn_graubard(
    hits: NDArray[np.bool_], groups: NDArray[np.intp], level: float = LEVEL
) -> tuple[float, float] | None:
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
        return clopper_pearson(int(hits.sum()), total, level)
    if value in (0.0, 1.0):
        return clopper_pearson(value * number, number, level)
    inside = np.bincount(places, weights=hits.astype(np.float64))
    variance = number / (number - 1) * float(((inside - value * sizes) ** 2).sum()) / total**2
    tail = (1 + level) / 2
    widened = (t_quantile(tail, total - 1) / t_quantile(tail, number - 1)) ** 2
    worth = min(float(total), value * (1 - value) / max(variance, _TINY) * widened)
    return clopper_pearson(value * worth, worth, level)


def t_quantile(chance: float, freedom: float) -> float:
    """Quantile, at a chance of 0.5 or more, of Student's t: t^2 / (t^2 + d) is beta(1/2, d/2)."""
    if not 0.5 <= chance < 1:
        raise ValueError(f"a chance in [0.5, 1), not {chance}")
    share = beta_quantile(2 * (1 - chance), freedom / 2, 0.5)  # of d / (d + t^2)
    return math.sqrt(freedom * (1 - share) / share)


def beta_quantile(chance: float, a: float, b: float) -> float:
    """The x with `beta_cdf(x, a, b) == chance`, by halving."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_cdf(middle, a, b) < chance:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), a and b positive (DLMF 8.17.22)."""
    if not 0 < x < 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, take the other tail
        return 1.0 - beta_cdf(1 - x, b, a)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(logarithm + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 / (1 + d1 / (1 + d2 / ...)) by the modified Lentz method."""
    ratio, upper, lower = 1.0, 1.0, 0.0
    for step in range(_TERMS):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        lower = 1 / _nonzero(1 + term * lower)
        upper = _nonzero(1 + term / upper)
        change = upper * lower
        ratio *= change
        if abs(change - 1) < 1e-15:
            return ratio - 1
    raise ArithmeticError(f"the incomplete beta function of {x}, {a}, {b} did not converge")


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY

"""How uniform p-values are without source, and risk over coverage. Knows no image, no decision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Uniformity:
    """How far p-values are from uniform.

    Attributes:
        queries: number of p-values.
        distance: of Kolmogorov and Smirnov, the largest gap between the two distributions.
        excess: the largest gap on the side that hurts: more small p-values than promised.
        band: what `distance` stays below with 95 % confidence if p-values are uniform and
            independent.
        quantiles: level -> the p-value at that level; smaller than the level is too bold, larger
            is cautious.
    """

    queries: int
    distance: float
    excess: float
    band: float
    quantiles: Mapping[float, float]


def uniformity(p_values: Values) -> Uniformity:
    r"""Compare `(n,)` p-values with the uniform distribution.

    .. math::

        D^+ = \max_i \left( \tfrac{i}{n} - p_{(i)} \right), \quad
        D^- = \max_i \left( p_{(i)} - \tfrac{i-1}{n} \right), \quad D = \max(D^+, D^-)

    with the band :math:`\sqrt{\log(2 / 0.05) / 2n}` of Dvoretzky, Kiefer and Wolfowitz with
    Massart's constant (Annals of Probability 1990). Conformal p-values are never below 1/(m + 1),
    for a background of m, so that `distance` has a floor of about that.

    Raises:
        ValueError: no p-values.
    """
    if len(p_values) == 0:
        raise ValueError("no p-values to compare with uniform ones")
    ordered, n = np.sort(p_values), len(p_values)
    places = np.arange(1, n + 1)
    above = float(np.max(places / n - ordered))
    below = float(np.max(ordered - (places - 1) / n))
    return Uniformity(
        queries=n,
        distance=max(above, below),
        excess=max(above, 0.0),
        band=band(n),
        quantiles={level: float(np.quantile(ordered, level)) for level in QUANTILES},
    )


def band(n: int) -> float:
    """Half the width of the 95 % band around the distribution of n independent values."""
    return math.sqrt(math.log(2 / (1 - _CONFIDENCE)) / (2 * n))


def cumulative(p_values: Values) -> Values:
    """`(2, k)` the distinct p-values, rising, above the share of queries that are at or below."""
    distinct, counts = np.unique(p_values, return_counts=True)
    return np.stack([distinct, np.cumsum(counts) / len(p_values)])


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The curve and its area; one point for each distinct p-value.

    Attributes:
        coverage: share of the queries with a p-value at most so large, rising to 1.
        risk: share of those whose first source is wrong, or that have none.
        area: under the curve (AURC), the mean risk over all coverages; smaller is better.
        best_area: what the same errors would give if every right answer came first.
        error: risk at full coverage.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float
    best_area: float
    error: float


def risk_coverage(p_values: Values, wrong: NDArray[np.bool_]) -> RiskCoverage:
    r"""Selective risk by p-value (El-Yaniv and Wiener, JMLR 2010; AURC: Geifman et al., ICLR 2019).

    .. math:: \mathrm{AURC} = \frac{1}{n} \sum_{k=1}^{n} \frac{\text{errors among the first } k}{k}

    Answers of equal p-value have no order. They count as if shuffled: each holds the share of
    errors of all that are equal to it.

    Args:
        p_values: `(n,)`; the smallest is answered first.
        wrong: `(n,)` whether the first source is not a true one.

    Raises:
        ValueError: no queries, or lengths that differ.
    """
    if len(p_values) == 0 or len(p_values) != len(wrong):
        raise ValueError(f"{len(p_values)} p-values of {len(wrong)} answers")
    _, places, counts = np.unique(p_values, return_inverse=True, return_counts=True)
    errors = np.bincount(places, weights=wrong.astype(np.float64))
    ends = np.cumsum(counts)
    so_far = np.cumsum(np.repeat(errors / counts, counts))
    each = np.arange(1, len(wrong) + 1)
    ideal = np.cumsum(np.sort(wrong.astype(np.float64)))
    return RiskCoverage(
        coverage=tuple((ends / len(wrong)).tolist()),
        risk=tuple((np.cumsum(errors) / ends).tolist()),
        area=float((so_far / each).mean()),
        best_area=float((ideal / each).mean()),
        error=float(wrong.mean()),
    )

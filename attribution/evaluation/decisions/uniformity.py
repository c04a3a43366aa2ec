"""Are p-values of images without source uniform? Knows no image and no decision."""

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

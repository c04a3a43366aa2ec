"""How many of a batch's attributions are false? Pure functions over p-values of many queries."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Key = TypeVar("Key", bound=Hashable)


def q_values(p_values: ArrayLike) -> NDArray[np.float64]:
    r"""Benjamini-Hochberg adjusted p-values, by step-up.

    .. math:: q_{(i)} = \min_{j \ge i} \frac{m\, p_{(j)}}{j}

    with :math:`p_{(1)} \le \dots \le p_{(m)}` (Benjamini and Hochberg, "Controlling the false
    discovery rate", JRSS B 1995). Attributing the queries with :math:`q \le \gamma` keeps the
    expected share of false ones among those attributed at most at :math:`\gamma` times the share
    of queries without source, where p-values are valid and positively dependent. Those from one
    background stratum are (Bates et al., "Testing for outliers with conformal p-values", Annals of
    Statistics 2023); of the largest over several strata it is not proven. Across queries only:
    the candidates of one query are no hypotheses of this kind.

    Args:
        p_values: `(m,)` in (0, 1], one a query, in any order.

    Returns:
        `(m,)` in the same order; equal p-values have equal q-values.

    Raises:
        ValueError: not one row of numbers in [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values are one row of numbers from 0 to 1")
    m = len(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * m / np.arange(1, m + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    q = np.empty(m)
    q[order] = np.minimum(stepped, 1.0)
    return q


def q_values_by_key(p_values: Mapping[Key, float | None]) -> dict[Key, float]:
    """`q_values` of those queries that have a p-value, under the names given to them."""
    known = {key: p_value for key, p_value in p_values.items() if p_value is not None}
    return dict(zip(known, q_values(list(known.values())).tolist(), strict=True))

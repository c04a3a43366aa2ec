"""What is gained by answering only when sure: risk over coverage. Knows no image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


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

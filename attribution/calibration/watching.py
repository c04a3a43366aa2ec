"""What the p-values of many queries say of the background they rest on. Pure functions.

Nobody says which queries have no source here, so no single p-value can be checked. Many can: those
of queries without source are spread evenly, or towards 1, as long as these resemble the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LAMBDA = 0.5
"""From here on p-values are taken for those of queries without source."""
FEWEST = 50
"""Fewer say nothing: neither the p-values above `LAMBDA`, nor those of half of the queries."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is said by the p-values of the last queries.

    Attributes:
        without_source: estimated share of queries without source; None where there are too few.
        evenness: probability that p-values above `LAMBDA` are as small as these or smaller where
            the background is right; None where there are too few.
        sameness: probability that the older and the newer half of the queries differ as much by
            chance; None where there are too few.
    """

    without_source: float | None
    evenness: float | None
    sameness: float | None


def watched(p_values: Sequence[float]) -> Watched:
    """All figures of a row of p-values, the oldest first."""
    p = np.asarray(p_values, dtype=np.float64)
    half = len(p) // 2
    enough = int((p > LAMBDA).sum()) >= FEWEST
    return Watched(
        without_source=share_without_source(p) if len(p) >= FEWEST else None,
        evenness=evenness(p) if enough else None,
        sameness=sameness(p[:half], p[half:]) if half >= FEWEST else None,
    )


def share_without_source(p: Values) -> float:
    r"""Storey's estimate of the share of true nulls, cut off at 1.

    .. math:: \hat\pi_0 = \#\{p_i > \lambda\} / ((1 - \lambda)\, m)

    (Storey, "A direct approach to false discovery rates", JRSS B 2002), with
    :math:`\lambda` = `LAMBDA`. Too large rather than too small, since p-values here may be
    spread towards 1.

    Args:
        p: `(m,)` in (0, 1], m > 0.
    """
    return min(1.0, float((p > LAMBDA).mean()) / (1.0 - LAMBDA))


def evenness(p: Values) -> float:
    r"""One-sided Kolmogorov-Smirnov test that p-values above :math:`\lambda` are not too small.

    With :math:`u = (p - \lambda)/(1 - \lambda)` of those, :math:`n` in number and sorted,

    .. math:: D^+ = \max_i\ (i/n - u_{(i)}),

    whose distribution under uniform u is Smirnov's. That is the worst case of p-values that keep
    their promise; the largest over strata is spread towards 1, which is no fault.

    Args:
        p: `(m,)` in (0, 1], of which at least one is above `LAMBDA`.

    Returns:
        The probability of such a :math:`D^+` or a larger one.
    """
    u = np.sort((p[p > LAMBDA] - LAMBDA) / (1.0 - LAMBDA))
    n = len(u)
    largest = float((np.arange(1, n + 1) / n - u).max())
    from scipy.special import smirnov  # noqa: PLC0415 (a fifth of a second of every start)

    return float(smirnov(n, max(0.0, largest)))


def sameness(older: Values, newer: Values) -> float:
    r"""Two-sample Kolmogorov-Smirnov test, by its limiting distribution.

    .. math:: D = \sup_x |F_{older}(x) - F_{newer}(x)|,\quad
        P\big(K > D \sqrt{nm/(n + m)}\big)

    (Smirnov, 1939). Ties, which p-values of a finite background have, make it cautious.

    Args:
        older: `(n,)` of those asked first.
        newer: `(m,)` of the others.
    """
    places = np.concatenate([older, newer])
    below = [np.searchsorted(np.sort(row), places, side="right") / len(row)
             for row in (older, newer)]  # fmt: skip
    distance = float(np.abs(below[0] - below[1]).max())
    effective = len(older) * len(newer) / (len(older) + len(newer))
    from scipy.special import kolmogorov  # noqa: PLC0415 (likewise)

    return float(kolmogorov(distance * np.sqrt(effective)))

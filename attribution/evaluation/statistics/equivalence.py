"""Whether a difference is small enough not to matter, which no test of zero can say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests of a difference (TOST).

    Attributes:
        margin: differences below it do not matter.
        low: of the interval at `1 - 2 * level`, 90 % for tests at 5 %; `high` likewise.
        p: the larger p-value of the two tests.
        holds: both tests reject, so the difference lies within the margin.
    """

    margin: float
    low: float
    high: float
    p: float
    holds: bool


def equivalence(
    resampled: NDArray[np.float64], *, margin: float, level: float = 0.05
) -> Equivalence:
    r"""Test that a difference lies within a margin, from its resampled values.

    .. math:: p = \max\big( P(\Delta^* \le -m),\; P(\Delta^* \ge m) \big)

    Both :math:`\Delta \le -m` and :math:`\Delta \ge m` are refused at `level` if and only if the
    interval from quantile `level` to `1 - level` lies within :math:`(-m, m)` (Schuirmann, 1987; by
    percentiles of a bootstrap here). That a difference is not told from zero is no equivalence:
    few queries tell nothing apart.

    Args:
        resampled: `(draws,)` bootstrap means of the difference.
        margin: :math:`m`, named before anything is measured.
        level: of each test.

    Raises:
        ValueError: no draws, or a margin that is not positive.
    """
    if len(resampled) == 0 or margin <= 0:
        raise ValueError(f"{len(resampled)} draws against a margin of {margin}")
    low, high = np.quantile(resampled, [level, 1 - level])
    p = max(float((resampled <= -margin).mean()), float((resampled >= margin).mean()))
    return Equivalence(
        margin, float(low), float(high), p, holds=bool(low > -margin and high < margin)
    )

"""The null: statistics of background images against the searched set, and p-values from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Null:
    """Sorted statistics of images without a source.

    Attributes:
        statistics: `(n,)` ascending.
        generation: the index generation they were taken at.
    """

    statistics: NDArray[np.float32]
    generation: int

    @property
    def smallest_alpha(self) -> float:
        """No p-value is smaller than `1 / (n + 1)`, so no smaller alpha can be met."""
        return 1.0 / (len(self.statistics) + 1)

    def p_values(self, statistics: NDArray[np.float32]) -> NDArray[np.float64]:
        r"""Conformal p-value of each statistic.

        .. math:: p = \frac{1 + \#\{i : T_i \ge t\}}{n + 1}

        For a query exchangeable with the background, :math:`P(p \le \alpha) \le \alpha` (Vovk et
        al., 2005). Every candidate is compared with the background's *best* match, so that over
        all candidates of a query without source the chance of any rejection is at most alpha
        (max-T, Westfall and Young, 1993).
        """
        n = len(self.statistics)
        larger = n - np.searchsorted(self.statistics, statistics, side="left")
        return np.asarray((1.0 + larger) / (n + 1.0), dtype=np.float64)

    def quantile(self, alpha: float) -> float:
        """The statistic above which a p-value is at most about `alpha`."""
        return float(np.quantile(self.statistics, 1.0 - alpha, method="higher"))

"""Shares: how the credit divides among candidates, with room for "none of them"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShareModel:
    """A temperature and the odds of no source; see `split`."""

    temperature: float = 1.0

    def split(self, statistics: NDArray[np.float32], level: float) -> tuple[Values, float]:
        r"""Divide 1 among candidates and "no source".

        .. math:: \mathrm{share}_j = \frac{e^{t_j/\tau}}{e^{c/\tau} + \sum_k e^{t_k/\tau}}

        The stand-in for "no source" competes at level :math:`c`, a high quantile of the null: a
        single candidate that just reaches it gets half. Without a null `c` is minus infinity,
        and the candidates divide everything.

        Args:
            statistics: `(k,)` of one query's candidates, -inf where missing.
            level: :math:`c`.

        Returns:
            `(k,)` shares and the unattributed share; together they add up to 1. Without any
            candidate all of it is unattributed.
        """
        if not np.isfinite(statistics).any():
            return np.zeros(len(statistics)), 1.0
        logits = np.append(statistics.astype(np.float64), level) / self.temperature
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        return weights[:-1], float(weights[-1])

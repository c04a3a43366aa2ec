"""What a p-value promises: on average over backgrounds, or for the background that is there.

Pure formulas; knows no statistic and no image.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DELTA = 0.05
"""Chance over draws of the background that the promise for this one fails."""

Values = NDArray[np.float64]


@lru_cache(maxsize=64)
def conditional_levels(n: int, delta: float = DELTA) -> Values:
    r"""By how many of `n` background images match as strongly, the p-value that holds for these.

    An ordinary conformal p-value with `r` larger statistics is :math:`(1 + r)/(n + 1)`. Its
    promise averages over backgrounds: with this one, the rate of false attribution at alpha may be
    anything near alpha. Here it is replaced by the level :math:`b_{1+r}`, where

    .. math:: b_{n+1-i} = 1 - \delta^{1/k}
        \Big(\frac{i (i-1) \cdots (i-k+1)}{n (n-1) \cdots (n-k+1)}\Big)^{1/k},
        \quad k = \lfloor n/2 \rfloor,

    and :math:`b_{n+1} = 1`. For n independent uniforms in ascending order,
    :math:`P(U_{(i)} \le b_i \text{ for all } i) \ge 1 - \delta` (the generalised inequality of
    Simes; Sarkar, 2008), so with probability :math:`1 - \delta` over the draw of the background the
    rate is at most alpha *for every alpha at once*: Bates, Candes, Lei, Romano, Sesia, "Testing for
    outliers with conformal p-values", Annals of Statistics 51, 2023, theorem 2.

    Args:
        n: images of the stratum, at least 1.
        delta: in (0, 1).

    Returns:
        `(n + 1,)` ascending, the last 1.
    """
    k = max(1, n // 2)
    i = np.arange(n, 0, -1)  # b_1 belongs to i = n
    factorials = np.append(0.0, np.cumsum(np.log(np.arange(1, n + 1))))  # their logarithms
    falling = factorials[i] - factorials[np.maximum(i - k, 0)]  # of i (i-1) ... (i-k+1)
    whole = factorials[n] - factorials[n - k]
    ratio = np.where(i >= k, np.exp((falling - whole + np.log(delta)) / k), 0.0)
    levels = np.append(1.0 - ratio, 1.0)
    levels.flags.writeable = False
    return levels

"""How ordinary a query is beside the background that its p-value rests on. Knows numbers, no image.

A p-value speaks of queries exchangeable with the background. What a query's cosines with unrelated
images are on average, and how far they spread, part by part, is known before anything is searched,
costs nothing more, and tells pages of text, flat colours and noise from pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attribution.retrieval.fusion import Queries

Values = NDArray[np.float64]
_FEWEST = 100  # background images that a likeness is told from


def features_of(asked: Queries) -> Values:
    """`(n, 2 * parts)`: expected cosine and logarithm of its unit in each part, of the first view.

    No columns for an encoder of one part, whose cosines are not standardised.
    """
    if asked.fusion.rule == "single":
        return np.zeros((len(asked), 0))
    columns = [(level.expected, np.log(level.unit)) for level in asked.levels[0]]
    return np.column_stack([each for pair in columns for each in pair]).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    r"""Conformal p-value of a query's Mahalanobis distance from the background's features.

    .. math:: d^2 = (x - \mu)^\top \Sigma^{-1} (x - \mu), \quad
        p = \frac{1 + \#\{i : d_i \ge d\}}{n + 1}

    Uniform for a query exchangeable with the background, but for what :math:`\mu` and
    :math:`\Sigma` know of the background's own images: a few numbers of thousands.

    Attributes:
        centre: `(f,)`.
        precision: `(f, f)`.
        squares: `(n,)` of the background, ascending.
    """

    centre: Values
    precision: Values
    squares: Values

    @classmethod
    def of(cls, features: Values) -> Self | None:
        """Of a background's `(n, f)` features; None where they are too few, or say nothing."""
        if len(features) < _FEWEST or not features.shape[1]:
            return None
        centre = features.mean(axis=0)
        covariance = np.cov(features, rowvar=False)
        precision: Values = np.linalg.pinv(covariance, hermitian=True).astype(np.float64)
        found = cls(centre, precision, np.empty(0))
        return cls(centre, precision, np.sort(found._distances(features)))

    def p_values(self, features: Values) -> Values:
        """`(m,)` of `(m, f)` features."""
        n = len(self.squares)
        farther = n - np.searchsorted(self.squares, self._distances(features), side="left")
        return np.asarray((1.0 + farther) / (n + 1.0))

    def _distances(self, features: Values) -> Values:
        apart = features - self.centre
        return np.asarray(np.einsum("nf,fg,ng->n", apart, self.precision, apart))

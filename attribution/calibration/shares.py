"""Shares: how the credit for a query divides among candidates, with room for "none of them".

Knows statistics and numbers, no source and no catalog.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
KIND = "shares-1"
"""Of these parameters, on this statistic; a change of either makes older fits unusable."""
LEVEL_ALPHA = 0.01  # the null's quantile that statistics are measured from


class BadParameters(ValueError):
    """These numbers are no share model."""


@dataclass(frozen=True, slots=True)
class ShareModel:
    r"""How much a candidate counts, by how far its statistic stands above what chance reaches.

    With the level :math:`c` that one in a hundred images without source exceeds, a candidate of
    statistic :math:`t` weighs

    .. math:: w(t) = \Big(\frac{\log(1 + e^{(t - c - o)/s})}{\log 2}\Big)^{\gamma}

    against a weight of 1 for "no source is held": exponentially little below the level, where
    chance rules, and no more than a power of its height far above it, where both sources of a
    query are beyond doubt and the larger match is not the truer one. (A softmax, exponential
    throughout, gives all credit to the larger.)

    Attributes:
        offset: :math:`o`, where a lone candidate counts as much as no source at all.
        scale: :math:`s`, in units of the statistic.
        exponent: :math:`\gamma`.
        hidden: weight of a true source that is held and does not stand out at all.
        lapse: the same, as a part of the candidates' weight: however good they look, a further
            source may be hidden beside them.

    Raises:
        BadParameters: not finite, or a weight or scale out of range.
    """

    offset: float = 0.0
    scale: float = 1.0
    exponent: float = 1.0
    hidden: float = 0.02
    lapse: float = 0.02

    def __post_init__(self) -> None:
        if not np.isfinite([*asdict(self).values()]).all():
            raise BadParameters(f"{self}: parameters must be finite numbers")
        if min(self.scale, self.exponent) <= 0 or min(self.hidden, self.lapse) < 0:
            raise BadParameters(
                f"{self}: scale and exponent must be above 0, hidden and lapse at least 0"
            )

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> ShareModel:
        """The model with these parameters, as `parameters` gives them.

        Raises:
            BadParameters: a parameter is missing, unknown or out of range.
        """
        names = {field.name for field in fields(cls)}
        if set(parameters) != names:
            raise BadParameters(
                f"a share model has the parameters {', '.join(sorted(names))}, "
                f"not {', '.join(sorted(parameters)) or 'none'}"
            )
        return cls(**{name: float(value) for name, value in parameters.items()})

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters by name."""
        return asdict(self)

    @property
    def id(self) -> str:
        """Short digest of kind and parameters: equal models have equal ids."""
        text = json.dumps([KIND, self.parameters], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def divide(self, statistics: ArrayLike, level: ArrayLike) -> Values:
        """Divide 1 among candidates, sources held but not among them, and no source.

        A source that is held and does not stand out is one of those beyond the `k` candidates;
        where fewer than `k` are held, it is any of the candidates.

        Args:
            statistics: `(n, k)` of the candidates of n queries, -inf where there are fewer.
            level: the level of chance, of all queries or `(n,)`. Minus infinity, where there is
                no null, lets the candidates divide everything.

        Returns:
            `(n, k + 2)` rows that add up to 1: `k` shares, then what goes to sources held but
            not among the candidates, then what goes to no source held. Without any candidate
            the last is 1.
        """
        t = np.atleast_2d(np.asarray(statistics, np.float64))
        n, k = t.shape
        best = t.max(axis=1, initial=-np.inf)
        at = np.broadcast_to(np.asarray(level, np.float64), (n,))
        judged = np.isfinite(at)
        at = np.where(judged, at, np.where(np.isfinite(best), best, 0.0))
        evidence = np.logaddexp(0.0, (t - at[:, None] - self.offset) / self.scale) / np.log(2.0)
        weights = np.zeros((n, k + 2))
        weights[:, :k] = evidence**self.exponent
        present = np.isfinite(t)
        count = present.sum(axis=1)
        missing = self.hidden + self.lapse * weights[:, :k].sum(axis=1)
        each = np.where(count < k, missing / np.maximum(count, 1), 0.0)
        weights[:, :k] += present * each[:, None]
        weights[:, k] = np.where(count == k, missing, 0.0)
        weights[:, k + 1] = judged | (count == 0)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

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
_FAR = -30.0  # from here down log(1 + e^x) is e^x to the last bit
_LOG_LOG_2 = float(np.log(np.log(2.0)))
_LARGEST = 1e6  # of any parameter, and its inverse the smallest: beyond, a division may overflow
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

    Besides, a query may have a source that hardly shows in it. Such a faint one is held as often
    as the candidates' weight says that any is, `lapse` times; it is beyond the candidates in
    `hidden` of the cases, and else one of them by

    .. math:: v_j \propto e^{\min(t_j, t_{(2)})/b}

    with the second largest statistic :math:`t_{(2)}`: what stands out has its credit already.

    Attributes:
        offset: :math:`o`, where a lone candidate counts as much as no source at all.
        scale: :math:`s`, in units of the statistic.
        exponent: :math:`\gamma`.
        lapse: weight of faint sources, as a part of the candidates' weight.
        breadth: :math:`b`, in units of the statistic.
        hidden: part of faint sources that is not among the candidates.

    Raises:
        BadParameters: not finite, or out of range.
    """

    offset: float = -2.7
    scale: float = 1.9
    exponent: float = 2.4
    lapse: float = 0.3
    breadth: float = 1.0
    hidden: float = 0.3

    def __post_init__(self) -> None:
        if not (np.abs([*asdict(self).values()]) <= _LARGEST).all():
            raise BadParameters(f"{self}: parameters must be finite numbers up to {_LARGEST:g}")
        if min(self.scale, self.exponent, self.breadth) < 1 / _LARGEST or self.lapse < 0:
            raise BadParameters(
                f"{self}: scale, exponent and breadth must be above 0, lapse at least 0"
            )
        if not 0 <= self.hidden <= 1:
            raise BadParameters(f"{self}: hidden is a part, so between 0 and 1")

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
        try:
            numbers = {name: float(value) for name, value in parameters.items()}
        except (TypeError, ValueError, OverflowError) as error:
            raise BadParameters(f"parameters of shares are numbers: {error}") from error
        return cls(**numbers)

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

        Where fewer than `k` sources are held, none is beyond the candidates.

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
        if k == 0:
            return np.tile([0.0, 1.0], (n, 1))
        count = np.isfinite(t).sum(axis=1)
        at = np.broadcast_to(np.asarray(level, np.float64), (n,))
        judged = np.isfinite(at)
        best = np.where(count > 0, t.max(axis=1), 0.0)
        height = t - np.where(judged, at, best)[:, None] - self.offset
        logs = self.exponent * _log_softplus(height / self.scale)
        # Divided by the largest weight of a row, none overflows.
        top = np.where(count > 0, logs.max(axis=1), 0.0)
        top = np.where(judged, np.maximum(top, 0.0), top)
        standing = np.exp(logs - top[:, None])
        faint = self.lapse * standing.sum(axis=1)
        beyond = np.where(count == k, self.hidden * faint, 0.0)
        spread = _spread(t, best, self.breadth)
        weights = np.empty((n, k + 2))
        weights[:, :k] = standing + (faint - beyond)[:, None] * spread
        weights[:, k] = beyond
        weights[:, k + 1] = np.where(judged | (count == 0), np.exp(-np.maximum(top, 0.0)), 0.0)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _log_softplus(x: Values) -> Values:
    """`log(log(1 + e^x) / log 2)`: 0 at 0, and no underflow far below."""
    soft = np.logaddexp(0.0, x)
    return np.asarray(np.where(x < _FAR, x, np.log(np.maximum(soft, np.exp(_FAR)))) - _LOG_LOG_2)


def _spread(t: Values, best: Values, breadth: float) -> Values:
    """`(n, k)` rows that add up to 1: a softmax in which the best counts as the second does."""
    second = np.partition(t, -2, axis=1)[:, -2] if t.shape[1] > 1 else best
    cap = np.where(np.isfinite(second), second, best)[:, None]
    raised = np.exp((np.minimum(t, cap) - cap) / breadth)
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300))

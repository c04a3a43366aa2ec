"""Shares: how the credit for a query divides among candidates, with room for "none of them".

What goes to none of them is read off the p-value, so that shares never contradict the decision; the
rest is divided by how far candidates stand out. Knows numbers, no source and no catalog.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
KIND = "shares-3"
"""Of these parameters, on this statistic; a change of either makes older fits unusable."""
OLDER = ("shares-1", "shares-2")
"""Kinds of earlier versions, which are not used."""
_FAR = -30.0  # from here down log(1 + e^x) is e^x to the last bit
_LARGEST = 1e6  # of any parameter, and its inverse the smallest: beyond, a division may overflow


class BadParameters(ValueError):
    """These numbers are no share model."""


@dataclass(frozen=True, slots=True)
class ShareModel:
    r"""How credit divides, by the query's p-value and by how far each candidate stands out.

    To no source held goes the local false discovery rate (Efron, Tibshirani, Storey and Tusher,
    JASA 2001) of the p-value: with :math:`\pi` the share of queries that have no source held, whose
    p-values are uniform, and the density of the others'

    .. math:: f(p) = \lambda + (1 - \lambda) \frac{e (1 + e)}{(p + e)^2}, \qquad
              u(p) = \frac{\pi}{\pi + (1 - \pi) f(p)}

    A part :math:`\lambda` of them has a source that cannot be told from chance, so that their
    p-values are uniform too; of the rest half lie below about :math:`e` (a Lomax distribution of
    shape 1, cut off at 1). Unlike a power of p, f has a value at 0, and a tail as high as the
    queries make it. u rises with p, and says the same with one source held and with a million.

    The rest is divided among the candidates. One of statistic :math:`t` weighs

    .. math:: w(t) = \big(\log(1 + e^{(t - o)/s})\big)^{\gamma}

    exponentially little below :math:`o`, where chance rules, and no more than a power of its height
    far above it, where both sources of a query are beyond doubt and the larger match is not the
    truer one. (A softmax, exponential throughout, gives all credit to the larger.)

    Besides, a query may have a source that hardly shows in it. Such a faint one weighs `lapse`
    times what all candidates do; it is beyond the candidates in `hidden` of the cases, and else one
    of them by

    .. math:: v_j \propto e^{\min(t_j, t_{(2)})/b}

    with the second largest statistic :math:`t_{(2)}`: what stands out has its credit already.

    Attributes:
        no_source: :math:`\pi`, what is believed before a query is looked at.
        evidence: :math:`e`; the smaller, the nearer to 0 are p-values of queries with a source.
        lost: :math:`\lambda`, the part of those whose source is not seen at all.
        offset: :math:`o`, in units of the statistic.
        scale: :math:`s`, in units of the statistic.
        exponent: :math:`\gamma`.
        lapse: weight of faint sources, as a part of the candidates' weight.
        breadth: :math:`b`, in units of the statistic.
        hidden: part of faint sources that is not among the candidates.

    Raises:
        BadParameters: not finite, or out of range.
    """

    no_source: float = 0.5
    evidence: float = 0.03
    lost: float = 0.1
    offset: float = 2.7
    scale: float = 0.5
    exponent: float = 1.0
    lapse: float = 0.2
    breadth: float = 0.8
    hidden: float = 0.4

    def __post_init__(self) -> None:
        if not (np.abs([*asdict(self).values()]) <= _LARGEST).all():
            raise BadParameters(f"{self}: parameters must be finite numbers up to {_LARGEST:g}")
        positive = (self.evidence, self.scale, self.exponent, self.breadth)
        if min(positive) < 1 / _LARGEST or self.lapse < 0:
            raise BadParameters(
                f"{self}: evidence, scale, exponent and breadth must be above 0, lapse at least 0"
            )
        if not 0 < self.no_source < 1:
            raise BadParameters(f"{self}: no_source must be between 0 and 1")
        if not (0 <= self.hidden <= 1 and 0 <= self.lost <= 1):
            raise BadParameters(f"{self}: hidden and lost are parts, so between 0 and 1")

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

    def unattributed(self, p_values: ArrayLike) -> Values:
        """`(n,)` local false discovery rate of each query's p-value; NaN of none is 0."""
        p = np.asarray(p_values, np.float64)
        found = self.evidence * (1 + self.evidence) / (p + self.evidence) ** 2
        held = (1 - self.no_source) * (self.lost + (1 - self.lost) * found)
        return np.where(np.isnan(p), 0.0, self.no_source / (self.no_source + held))

    def divide(self, statistics: ArrayLike, p_values: ArrayLike) -> Values:
        """Divide 1 among candidates, sources held but not among them, and no source.

        Where fewer than `k` sources are held, none is beyond the candidates.

        Args:
            statistics: `(n, k)` of the candidates of n queries, -inf where there are fewer.
            p_values: `(n,)` of the queries; NaN, where there is no null, lets the candidates divide
                everything.

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
        best = np.where(count > 0, t.max(axis=1), 0.0)
        logs = self.exponent * _log_softplus((t - self.offset) / self.scale)
        top = np.where(count > 0, logs.max(axis=1), 0.0)
        standing = np.exp(logs - top[:, None])  # divided by the largest, none overflows
        faint = self.lapse * standing.sum(axis=1)
        beyond = np.where(count == k, self.hidden * faint, 0.0)
        weights = np.empty((n, k + 1))
        weights[:, :k] = standing + (faint - beyond)[:, None] * _spread(t, best, self.breadth)
        weights[:, k] = beyond
        none = np.where(count > 0, self.unattributed(np.broadcast_to(p_values, (n,))), 1.0)
        total = np.where(count > 0, weights.sum(axis=1), 1.0)
        held = weights / total[:, None] * (1 - none)[:, None]
        return np.column_stack([held, none])


def _log_softplus(x: Values) -> Values:
    """`log(log(1 + e^x))`, with no underflow far below."""
    soft = np.logaddexp(0.0, x)
    return np.asarray(np.where(x < _FAR, x, np.log(np.maximum(soft, np.exp(_FAR)))))


def _spread(t: Values, best: Values, breadth: float) -> Values:
    """`(n, k)` rows that add up to 1: a softmax in which the best counts as the second does."""
    second = np.partition(t, -2, axis=1)[:, -2] if t.shape[1] > 1 else best
    cap = np.where(np.isfinite(second), second, best)[:, None]
    raised = np.exp((np.minimum(t, cap) - cap) / breadth)
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300))

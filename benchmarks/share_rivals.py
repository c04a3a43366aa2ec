"""Ways of dividing credit that are compared with the one that serves; see default_shares.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, nnls

from attribution.attributor import Attributor
from attribution.calibration.shares.fitting import Examples
from attribution.calibration.shares.scoring import log_score

DECOMPOSED = 12  # candidates that a query is decomposed into
_FAINT = 1e-4  # the coefficient that none is read as
_BOUND = 60.0  # of logarithms


@dataclass(frozen=True, eq=False)
class Candidates:
    """Features of candidates: `(n, k)` statistics, and `(n, k)` coefficients."""

    statistics: np.ndarray
    coefficients: np.ndarray

    def chosen(self, which: np.ndarray) -> Candidates:
        """Those where `which` is true."""
        return Candidates(self.statistics[which], self.coefficients[which])


@dataclass(frozen=True)
class Rival:
    """A way of dividing credit: from features and parameters to logarithms of weights.

    Two further parameters are the weights of hidden sources, as in `ShareModel`.
    """

    name: str
    start: tuple[float, ...]
    logs: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

    def divide(self, candidates: Candidates, parameters: np.ndarray) -> np.ndarray:
        """`(n, k + 2)` as `ShareModel.divide` gives it, of queries with k candidates."""
        present = np.isfinite(candidates.statistics)
        heights = np.where(present, candidates.statistics, 0.0)
        logs = self.logs(heights, np.log(candidates.coefficients + _FAINT), parameters[:-2])
        weights = present * np.exp(np.clip(logs, -_BOUND, _BOUND))
        hidden, lapse = np.exp(np.clip(parameters[-2:], -_BOUND, _BOUND))
        other = hidden + lapse * weights.sum(axis=1)
        joined = np.column_stack([weights, other, np.ones(len(weights))])
        return joined / joined.sum(axis=1, keepdims=True)


def _softmax(t: np.ndarray, _: np.ndarray, p: np.ndarray) -> np.ndarray:
    return (t - p[0]) / np.exp(p[1])


def _decomposition(_: np.ndarray, log_a: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.exp(p[1]) * (log_a - p[0])


def _both(t: np.ndarray, log_a: np.ndarray, p: np.ndarray) -> np.ndarray:
    evidence = np.log(np.logaddexp(0.0, (t - p[0]) / np.exp(p[1])) / np.log(2.0) + 1e-12)
    return np.exp(p[2]) * evidence + p[3] * (log_a - np.log(0.3))


RIVALS = (
    Rival("temperature softmax", (0.0, 0.0), _softmax),
    Rival("decomposition", (-1.2, 0.0), _decomposition),
    Rival("ours and decomposition", (0.0, 0.0, 0.0, 0.0), _both),
)


def fitted_rival(rival: Rival, candidates: Candidates, found: Examples) -> np.ndarray:
    """Parameters of the smallest log score."""

    def loss(parameters: np.ndarray) -> float:
        divided = rival.divide(candidates, parameters)
        return log_score(divided, found.credit, found.weights)

    start = np.array([*rival.start, np.log(0.02), np.log(0.02)])
    return np.asarray(minimize(loss, start, method="BFGS").x)


def coefficients(attributor: Attributor, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """`(n, k)`: each query taken apart into its best candidates, part by part, and averaged.

    Of a query of several views the one that is explained best counts.
    """
    fusion, found = attributor.calibration.reference.fusion, np.zeros(ids.shape)
    views = fusion.views_of(rows)
    extra = 1 if attributor.encoder.card.hubness > 0 else 0  # that column is no direction
    for row in range(len(ids)):
        candidates = ids[row, :DECOMPOSED]
        candidates = candidates[candidates >= 0]
        vectors = attributor.index.vectors(candidates).astype(np.float64)
        fits = []
        for view in views:
            parts, residual = [], 0.0
            for part in fusion.parts:
                columns = slice(part.start, part.stop - extra)
                matrix, target = vectors[:, columns].T, view[row, columns].astype(np.float64)
                part_coefficients, distance = nnls(matrix, target)
                parts.append(part_coefficients)
                residual += distance**2
            fits.append((residual, np.mean(parts, axis=0)))
        found[row, : len(candidates)] = min(fits, key=lambda each: each[0])[1]
    return found

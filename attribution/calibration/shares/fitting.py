"""Fits a share model to ranked queries whose true sources are known, and says how good it is.

Knows arrays only: where queries and rankings come from is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.shares.model import ShareModel
from attribution.calibration.shares.scoring import (
    brier_score,
    equal_mass_calibration_error,
    log_score,
)

Values = NDArray[np.float64]
_PRIOR = 0.5  # examples that one unit of distance from the start, squared, is worth
_STEP = 1e-4  # of the numerical derivative
_ITERATIONS = 80
_TRIALS = 25  # of a step's length
_FLAT = 1e-5  # slope; below what the numerical derivative resolves nothing is gained
_GAIN = 1e-8  # of one step, below which there is no next one
_SMALLEST = 1e-6
_BOUND = 10.0  # of parameters without bounds, so that none overflows


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Ranked queries and who deserves the credit.

    Attributes:
        statistics: `(n, k)` of the candidates, by rank, -inf where missing.
        level: `(n,)` level of chance of the set that each query searched.
        credit: `(n, k + 2)` rows that add up to 1: probability that a true source drawn uniformly
            is this candidate; a source held but not among them; one that is not held.
        weights: `(n,)`, how much each query counts.
        folds: `(n,)` int; queries of different folds have no source in common.
    """

    statistics: Values
    level: Values
    credit: Values
    weights: Values
    folds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.statistics)

    def chosen(self, which: NDArray[np.bool_]) -> Examples:
        """Those where `which` is true."""
        return Examples(
            self.statistics[which],
            self.level[which],
            self.credit[which],
            self.weights[which],
            self.folds[which],
        )


@dataclass(frozen=True, slots=True)
class FitFigures:
    """How good shares are on queries whose sources the fit has not seen.

    Scores are proper, in expectation over the drawn source, and smaller is better. The constant
    predictor gives every rank the credit that it has on average.

    Attributes:
        queries: how many.
        log_score: in nats.
        constant_log_score: of the constant predictor.
        brier_score: over all candidates and the two remainders.
        constant_brier_score: of the constant predictor.
        rank_1_error: equal-mass calibration error of the share of rank 1.
        unattributed_error: the same of the unattributed share.
    """

    queries: int
    log_score: float
    constant_log_score: float
    brier_score: float
    constant_brier_score: float
    rank_1_error: float
    unattributed_error: float

    def rounded(self) -> dict[str, float]:
        """By name, to four decimals."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def fit(examples: Examples, start: ShareModel | None = None) -> ShareModel:
    """The share model of the smallest log score, drawn a little towards `start`.

    Deterministic: BFGS on numerical derivatives.

    Args:
        examples: what to fit on.
        start: where to start; also the prior, worth half an example.

    Raises:
        ValueError: no examples.
    """
    if not len(examples):
        raise ValueError("a share model cannot be fitted to no queries")
    first = _free(start or ShareModel())
    strength = _PRIOR / len(examples)

    def loss(free: Values) -> float:
        model = _model(free)
        return score(model, examples) + strength * float(((free - first) ** 2).sum())

    return _model(_minimised(loss, first))


def score(model: ShareModel, examples: Examples) -> float:
    """Log score of a model on examples, in nats."""
    return log_score(
        model.divide(examples.statistics, examples.level), examples.credit, examples.weights
    )


def cross_validated(examples: Examples, start: ShareModel | None = None) -> FitFigures:
    """Figures on every fold, by a model fitted on the other folds.

    Raises:
        ValueError: fewer than two folds.
    """
    folds = np.unique(examples.folds)
    if len(folds) < 2:
        raise ValueError("a fit can only be judged on a second fold of queries")
    held_out = [examples.chosen(examples.folds == fold) for fold in folds]
    predicted, constant = [], []
    for fold, judged in zip(folds, held_out, strict=True):
        seen = examples.chosen(examples.folds != fold)
        predicted.append(fit(seen, start).divide(judged.statistics, judged.level))
        mean = np.average(seen.credit, axis=0, weights=seen.weights)
        constant.append(np.tile(mean, (len(judged), 1)))
    return _figures(np.vstack(predicted), np.vstack(constant), held_out)


def _figures(predicted: Values, constant: Values, held_out: Sequence[Examples]) -> FitFigures:
    credit = np.vstack([each.credit for each in held_out])
    weights = np.concatenate([each.weights for each in held_out])
    return FitFigures(
        queries=len(credit),
        log_score=log_score(predicted, credit, weights),
        constant_log_score=log_score(_smoothed(constant), credit, weights),
        brier_score=brier_score(predicted, credit, weights),
        constant_brier_score=brier_score(constant, credit, weights),
        rank_1_error=equal_mass_calibration_error(predicted[:, 0], credit[:, 0], weights),
        unattributed_error=equal_mass_calibration_error(predicted[:, -1], credit[:, -1], weights),
    )


def _smoothed(constant: Values) -> Values:
    """A rank that never had credit gets a little: the constant must not score infinitely badly."""
    mixed = constant + 1e-3 / constant.shape[1]
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))


def _free(model: ShareModel) -> Values:
    """Parameters without bounds: logarithms of what is positive, the log-odds of a part."""
    positive = [model.scale, model.exponent, model.lapse, model.breadth]
    part = min(max(model.hidden, _SMALLEST), 1 - _SMALLEST)
    logs = np.log(np.maximum(positive, _SMALLEST))
    return np.array([model.offset, *logs, np.log(part / (1 - part))])


def _model(free: Values) -> ShareModel:
    bounded = np.clip(free, -_BOUND, _BOUND)
    scale, exponent, lapse, breadth = np.exp(bounded[1:5]).tolist()
    hidden = 1 / (1 + np.exp(-bounded[5]))
    return ShareModel(float(bounded[0]), scale, exponent, lapse, breadth, float(hidden))


def _minimised(loss: Callable[[Values], float], start: Values) -> Values:
    """BFGS (Nocedal and Wright, "Numerical Optimization", 2006, algorithm 6.1) from `start`."""
    steps = np.eye(len(start)) * _STEP

    def slope(here: Values) -> Values:
        return np.array([loss(here + s) - loss(here - s) for s in steps]) / (2 * _STEP)

    here, value, uphill = start, loss(start), slope(start)
    inverse = np.eye(len(start)) / max(1.0, np.abs(uphill).sum())
    for _ in range(_ITERATIONS):
        direction = -inverse @ uphill
        if np.abs(uphill).max() <= _FLAT or uphill @ direction >= 0:
            break
        found = _searched(loss, slope, here, value, uphill, direction)
        if found is None:
            break
        there, lower, steepness = found
        moved, bent, gain = there - here, steepness - uphill, value - lower
        here, value, uphill = there, lower, steepness
        if gain <= _GAIN:
            break
        inverse = _updated(inverse, moved, bent)
    return here


def _searched(
    loss: Callable[[Values], float],
    slope: Callable[[Values], Values],
    here: Values,
    value: float,
    uphill: Values,
    direction: Values,
) -> tuple[Values, float, Values] | None:
    """A point along `direction` by the weak Wolfe conditions, its loss and its slope.

    Doubling and halving (Lewis and Overton, "Nonsmooth optimization via quasi-Newton methods",
    Mathematical Programming 2013, algorithm 2.6); None where there is nothing to be gained.
    """
    fall = float(uphill @ direction)
    low, high, length = 0.0, np.inf, 1.0
    for _ in range(_TRIALS):
        there = here + length * direction
        lower = loss(there)
        if lower > value + 1e-4 * length * fall:
            high = length
        else:
            steepness = slope(there)
            if steepness @ direction >= 0.9 * fall:
                return there, lower, steepness
            low = length
        length = (low + high) / 2 if np.isfinite(high) else 2 * low
    return None


def _updated(inverse: Values, moved: Values, bent: Values) -> Values:
    r"""The inverse Hessian that explains the last step.

    .. math:: H' = (I - \rho s y^T) H (I - \rho y s^T) + \rho s s^T, \quad \rho = 1 / y^T s

    Args:
        inverse: `(n, n)` H.
        moved: `(n,)` s.
        bent: `(n,)` y, by how much the slope has changed.
    """
    curvature = float(bent @ moved)
    if curvature <= _SMALLEST * float(moved @ moved):
        return inverse
    left = np.eye(len(moved)) - np.outer(moved, bent) / curvature
    return np.asarray(left @ inverse @ left.T + np.outer(moved, moved) / curvature)

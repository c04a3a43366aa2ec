"""Fits a share model to ranked queries whose true sources are known, and says how good it is.

Knows arrays only: where queries and rankings come from is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

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
_FLAT = 1e-5  # slope; below what the numerical derivative resolves nothing is gained
_GAIN = 1e-9  # of one step, as a part of the loss, below which there is no next one
_SMALLEST = 1e-6
_BOUND = 10.0  # of parameters without bounds, so that none overflows


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Ranked queries and who deserves the credit.

    Attributes:
        statistics: `(n, k)` of the candidates, by rank, -inf where missing.
        p_values: `(n,)` of the queries.
        credit: `(n, k + 2)` rows that add up to 1: probability that a true source drawn uniformly
            is this candidate; a source held but not among them; one that is not held.
        weights: `(n,)`, how much each query counts.
        folds: `(n,)` int; queries of different folds have no source in common.
    """

    statistics: Values
    p_values: Values
    credit: Values
    weights: Values
    folds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.statistics)

    def chosen(self, which: NDArray[np.bool_]) -> Examples:
        """Those where `which` is true."""
        return Examples(
            self.statistics[which],
            self.p_values[which],
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

    What is believed of a query before it is looked at, `no_source`, stays as it is in `start`: it
    is not for the examples to say. Deterministic: BFGS of limited memory on numerical derivatives.

    Args:
        examples: what to fit on; by weight, `no_source` of them come from no source held.
        start: where to start; also the prior, worth half an example.

    Raises:
        ValueError: no examples.
    """
    if not len(examples):
        raise ValueError("a share model cannot be fitted to no queries")
    begin = start or ShareModel()
    first = _free(begin)
    strength = _PRIOR / len(examples)

    def loss(free: Values) -> float:
        model = _model(free, begin.no_source)
        return score(model, examples) + strength * float(((free - first) ** 2).sum())

    return _model(_minimised(loss, first), begin.no_source)


def score(model: ShareModel, examples: Examples) -> float:
    """Log score of a model on examples, in nats."""
    return log_score(
        model.divide(examples.statistics, examples.p_values),
        examples.credit,
        examples.weights,
    )


def cross_validated(examples: Examples, start: ShareModel | None = None) -> FitFigures:
    """Figures on every fold, by a model fitted on the other folds.

    Raises:
        ValueError: fewer than two folds.
    """
    return judged(held_out_shares(examples, start), examples)


def held_out_shares(examples: Examples, start: ShareModel | None = None) -> Values:
    """`(n, k + 2)` shares of each query by a model fitted on the other folds.

    Raises:
        ValueError: fewer than two folds.
    """
    shares = np.empty_like(examples.credit)
    for here in _folds(examples):
        model = fit(examples.chosen(~here), start)
        shares[here] = model.divide(examples.statistics[here], examples.p_values[here])
    return shares


def judged(shares: Values, examples: Examples) -> FitFigures:
    """How good shares are that no fit on the same sources has made.

    Args:
        shares: `(n, k + 2)`, of `held_out_shares`.
        examples: the same queries.

    Raises:
        ValueError: fewer than two folds.
    """
    credit, weights = examples.credit, examples.weights
    constant = np.empty_like(credit)
    for here in _folds(examples):
        constant[here] = np.average(credit[~here], axis=0, weights=weights[~here])
    return FitFigures(
        queries=len(credit),
        log_score=log_score(shares, credit, weights),
        constant_log_score=log_score(_smoothed(constant), credit, weights),
        brier_score=brier_score(shares, credit, weights),
        constant_brier_score=brier_score(constant, credit, weights),
        rank_1_error=equal_mass_calibration_error(shares[:, 0], credit[:, 0], weights),
        unattributed_error=equal_mass_calibration_error(shares[:, -1], credit[:, -1], weights),
    )


def _folds(examples: Examples) -> list[NDArray[np.bool_]]:
    """For each fold which queries are in it."""
    folds = np.unique(examples.folds)
    if len(folds) < 2:
        raise ValueError("a fit can only be judged on a second fold of queries")
    return [examples.folds == fold for fold in folds]


def _smoothed(constant: Values) -> Values:
    """A rank that never had credit gets a little: the constant must not score infinitely badly."""
    mixed = constant + 1e-3 / constant.shape[1]
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))


def _free(model: ShareModel) -> Values:
    """Parameters without bounds: logarithms of what is positive, log-odds of parts."""
    positive = [model.evidence, model.scale, model.exponent, model.lapse, model.breadth]
    parts = np.clip([model.hidden, model.lost], _SMALLEST, 1 - _SMALLEST)
    logs = np.log(np.maximum(positive, _SMALLEST))
    return np.array([model.offset, *logs, *np.log(parts / (1 - parts))])


def _model(free: Values, no_source: float) -> ShareModel:
    bounded = np.clip(free, -_BOUND, _BOUND)
    evidence, scale, exponent, lapse, breadth = np.exp(bounded[1:6]).tolist()
    hidden, lost = (1 / (1 + np.exp(-bounded[6:]))).tolist()
    return ShareModel(
        no_source, evidence, lost, float(bounded[0]), scale, exponent, lapse, breadth, hidden
    )


def _minimised(loss: Callable[[Values], float], start: Values) -> Values:
    """The parameters of the smallest loss that BFGS of limited memory finds from `start`."""
    steps = np.eye(len(start)) * _STEP

    def with_slope(here: Values) -> tuple[float, Values]:
        slope = [(loss(here + step) - loss(here - step)) / (2 * _STEP) for step in steps]
        return loss(here), np.array(slope)

    found = minimize(
        with_slope,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": _FLAT, "ftol": _GAIN},
    )
    return np.asarray(found.x)

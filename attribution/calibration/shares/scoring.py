"""Proper scores and calibration error of stated probabilities. Pure NumPy; knows no source.

Credit may be divided: a query made of two sources gives each one half, which is the probability
that a true source drawn uniformly is this one. Scores are then expectations over that draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
BINS = 10
_SMALLEST = 1e-12  # a probability of zero is read as this, so that the log score stays finite


@dataclass(frozen=True, slots=True, eq=False)
class EqualMassBins:
    """Bins of equal mass, in ascending order of what was predicted; `(b,)` each.

    Attributes:
        predicted: mean prediction.
        observed: mean outcome.
        mass: share of all weight.
    """

    predicted: Values
    observed: Values
    mass: Values


def log_score(
    probabilities: ArrayLike, credit: ArrayLike, weights: NDArray[np.float64] | None = None
) -> float:
    r"""Mean of :math:`-\sum_c y_c \log p_c` in nats; smaller is better (Good, 1952).

    Args:
        probabilities: `(n, c)`, each row adds up to 1.
        credit: `(n, c)`, each row adds up to 1.
        weights: `(n,)` of the rows; equal where None.
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(credit, np.float64)
    each = -(y * np.log(np.maximum(p, _SMALLEST))).sum(axis=1)
    return float(np.average(each, weights=weights))


def brier_score(
    probabilities: ArrayLike, credit: ArrayLike, weights: NDArray[np.float64] | None = None
) -> float:
    r"""Mean of :math:`E \sum_c (p_c - 1[c \text{ drawn}])^2`; smaller is better (Brier, 1950).

    Between 0 and 2. With credit :math:`y` that adds up to 1 it is
    :math:`1 + \sum_c p_c^2 - 2 \sum_c p_c y_c`.

    Args:
        probabilities: `(n, c)`, each row adds up to 1.
        credit: `(n, c)`, each row adds up to 1.
        weights: `(n,)` of the rows; equal where None.
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(credit, np.float64)
    each = 1.0 + (p * p).sum(axis=1) - 2.0 * (p * y).sum(axis=1)
    return float(np.average(each, weights=weights))


def equal_mass_bins(
    predicted: ArrayLike,
    observed: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    bins: int = BINS,
) -> EqualMassBins:
    """Predictions and outcomes in bins that hold equally much weight.

    Equal predictions share a bin, so there may be fewer bins than asked for.

    Args:
        predicted: `(n,)` probabilities.
        observed: `(n,)` outcomes or credits in [0, 1].
        weights: `(n,)`; equal where None.
        bins: how many.

    Raises:
        ValueError: nothing to bin, or no bins.
    """
    p, y = np.asarray(predicted, np.float64), np.asarray(observed, np.float64)
    if bins < 1 or not len(p):
        raise ValueError("reliability needs predictions, and one bin or more to put them in")
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(p, kind="stable")
    p, y, w = p[order], y[order], w[order] / w.sum()
    places = np.minimum(((np.cumsum(w) - w / 2) * bins).astype(np.int64), bins - 1)
    _, first = np.unique(p, return_index=True)
    places = np.repeat(places[first], np.diff(np.append(first, len(p))))
    mass: Values = np.bincount(places, w, bins).astype(np.float64)
    filled = mass > 0
    mass = mass[filled]
    return EqualMassBins(
        np.bincount(places, w * p, bins)[filled] / mass,
        np.bincount(places, w * y, bins)[filled] / mass,
        mass,
    )


def equal_mass_calibration_error(
    predicted: ArrayLike,
    observed: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    bins: int = BINS,
) -> float:
    """Mean distance between prediction and outcome over bins of equal mass.

    Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019. Chance alone
    makes it positive: about `0.8 sqrt(bins p (1 - p) / n)` for a perfect predictor.

    Args:
        predicted: `(n,)` probabilities.
        observed: `(n,)` outcomes or credits in [0, 1].
        weights: `(n,)`; equal where None.
        bins: how many.

    Raises:
        ValueError: nothing to bin, or no bins.
    """
    found = equal_mass_bins(predicted, observed, weights, bins=bins)
    return float(found.mass @ np.abs(found.predicted - found.observed))


def binary_brier_score(predicted: Values, outcome: Values) -> float:
    """Mean squared difference (Brier, Monthly Weather Review 1950); smaller is better.

    Args:
        predicted: `(n,)` probabilities.
        outcome: `(n,)` in [0, 1]: what came true, or the share of it.

    Raises:
        ValueError: nothing predicted, or lengths that differ.
    """
    return float(np.mean(binary_brier_losses(predicted, outcome)))


def binary_brier_losses(predicted: Values, outcome: Values) -> Values:
    """`(n,)` terms of `binary_brier_score`."""
    _check(predicted, outcome)
    return (predicted - outcome) ** 2


def binary_log_score(predicted: Values, outcome: Values, floor: float = 1e-6) -> float:
    r"""Mean negative log likelihood in nats (Good, 1952); smaller is better.

    .. math:: -\frac{1}{n} \sum_i y_i \log p_i + (1 - y_i) \log (1 - p_i)

    Predictions are kept `floor` away from 0 and 1, so that one certainty that fails costs much
    and not everything.

    Raises:
        ValueError: nothing predicted, or lengths that differ.
    """
    return float(np.mean(binary_log_losses(predicted, outcome, floor)))


def binary_log_losses(predicted: Values, outcome: Values, floor: float = 1e-6) -> Values:
    """`(n,)` terms of `binary_log_score`."""
    _check(predicted, outcome)
    kept = np.clip(predicted, floor, 1 - floor)
    losses: Values = -(outcome * np.log(kept) + (1 - outcome) * np.log1p(-kept))
    return losses


def _check(predicted: Values, outcome: Values) -> None:
    if len(predicted) == 0 or predicted.shape != outcome.shape:
        raise ValueError(f"{len(predicted)} predictions of {len(outcome)} outcomes")

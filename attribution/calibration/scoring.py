"""How good stated probabilities are, given what came true. Pure functions; they know no query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def equal_mass_calibration_error(predicted: Values, outcome: Values, bins: int = 10) -> float:
    r"""Expected calibration error over bins of equally many predictions.

    .. math:: \sum_b \frac{n_b}{n} \left| \bar p_b - \bar y_b \right|

    Bins of equal width leave most of them empty where predictions crowd at the ends (Nixon et
    al., "Measuring Calibration in Deep Learning", CVPR workshops 2019).

    Args:
        predicted: `(n,)` in [0, 1].
        outcome: `(n,)` in [0, 1]: what came true, or the share of it.
        bins: of as equal a number as can be; equal predictions keep their order.

    Raises:
        ValueError: nothing predicted, lengths that differ, or no bins.
    """
    _check(predicted, outcome)
    if bins < 1:
        raise ValueError(f"{bins} bins: give one at least")
    order = np.argsort(predicted, kind="stable")
    gaps = [
        len(part) * abs(float(predicted[part].mean() - outcome[part].mean()))
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return sum(gaps) / len(predicted)


def brier_score(predicted: Values, outcome: Values) -> float:
    """Mean squared difference (Brier, Monthly Weather Review 1950); smaller is better."""
    _check(predicted, outcome)
    return float(np.mean((predicted - outcome) ** 2))


def log_score(predicted: Values, outcome: Values, floor: float = 1e-6) -> float:
    r"""Mean negative log likelihood in nats (Good, 1952); smaller is better.

    .. math:: -\frac{1}{n} \sum_i y_i \log p_i + (1 - y_i) \log (1 - p_i)

    Predictions are kept `floor` away from 0 and 1, so that one certainty that fails costs much
    and not everything.
    """
    _check(predicted, outcome)
    kept = np.clip(predicted, floor, 1 - floor)
    return float(-np.mean(outcome * np.log(kept) + (1 - outcome) * np.log1p(-kept)))


def _check(predicted: Values, outcome: Values) -> None:
    if len(predicted) == 0 or predicted.shape != outcome.shape:
        raise ValueError(f"{len(predicted)} predictions of {len(outcome)} outcomes")

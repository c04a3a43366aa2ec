"""Are shares the probabilities that they claim to be? Knows no gallery and no picture.

The share of rank 1 claims the probability that a source drawn from the query's true ones is that
one; the unattributed share that there is none in the gallery.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.shares.scoring import (
    binary_brier_losses,
    binary_brier_score,
    binary_log_losses,
    binary_log_score,
    equal_mass_calibration_error,
)
from attribution.evaluation.decisions.answers import Answers, Decisions
from attribution.evaluation.statistics.bootstrap import Interval, clustered_means

Values = NDArray[np.float64]
Kind = Literal["rank-1", "unattributed"]
BINS = 10
CLAIMS: dict[Kind, tuple[str, str]] = {
    "rank-1": ("share", "credit"),
    "unattributed": ("unattributed_share", "sourceless"),
}
"""Of each kind of share, what an answer said and what was true."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Some queries of like share: how many, what was claimed on average, and what was true."""

    queries: int
    claimed: float
    true: float


@dataclass(frozen=True, slots=True)
class Score:
    """A proper score beside that of the constant that fits best, which is told the mean outcome.

    Attributes:
        value: smaller is better.
        constant: of the constant.
        difference: value minus constant, with its 95 % interval over groups of queries; below
            zero the shares know more than the mean.
    """

    value: float
    constant: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Reliability:
    """How one kind of share fares on some queries.

    Attributes:
        condition: what was done to the queries.
        set: their set; empty: all queries of the benchmark.
        kind: of share.
        queries: number of them.
        claimed: mean share.
        true: mean of what it should be.
        calibration_error: equal-mass, over `BINS` bins.
        brier: mean squared difference.
        log: mean negative log likelihood, nats.
        bins: of the reliability diagram, by rising share.
    """

    condition: str
    set: str
    kind: Kind
    queries: int
    claimed: float
    true: float
    calibration_error: float
    brier: Score
    log: Score
    bins: tuple[Bin, ...]


def reliabilities(decisions: Decisions) -> tuple[Reliability, ...]:
    """By condition and kind: all queries in the whole gallery, then each set."""
    found: list[Reliability] = []
    for condition in decisions.conditions:
        whole = decisions.whole(condition)
        parts = [("", whole), *((name, whole.where(name)) for name in whole.sets)]
        of_parts = [_reliabilities(part, name) for name, part in parts]
        for of_kind in zip(*of_parts, strict=True):
            found += of_kind
    return tuple(found)


def _reliabilities(answers: Answers, name: str) -> list[Reliability]:
    """Of each kind; all their differences are resampled together."""
    claims = [
        (kind, answers.values(said).clip(0, 1), answers.values(truth))
        for kind, (said, truth) in CLAIMS.items()
    ]
    differences = [
        losses(claimed, true) - losses(_constant(true), true)
        for _, claimed, true in claims
        for losses in (binary_brier_losses, binary_log_losses)
    ]
    intervals = iter(clustered_means(differences, answers.groups))
    return [
        Reliability(
            condition=answers.condition,
            set=name,
            kind=kind,
            queries=len(answers),
            claimed=float(claimed.mean()),
            true=float(true.mean()),
            calibration_error=equal_mass_calibration_error(claimed, true, bins=BINS),
            brier=_score(binary_brier_score, claimed, true, next(intervals)),
            log=_score(binary_log_score, claimed, true, next(intervals)),
            bins=diagram_bins(claimed, true),
        )
        for kind, claimed, true in claims
    ]


def diagram_bins(claimed: Values, true: Values, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equally many queries, by rising share; equal shares may lie in two of them."""
    order = np.argsort(claimed, kind="stable")
    return tuple(
        Bin(len(part), float(claimed[part].mean()), float(true[part].mean()))
        for part in np.array_split(order, min(bins, len(order)))
    )


def _score(
    score: Callable[[Values, Values], float], claimed: Values, true: Values, difference: Interval
) -> Score:
    return Score(score(claimed, true), score(_constant(true), true), difference)


def _constant(true: Values) -> Values:
    return np.full(len(true), true.mean())

"""The last thousand answers in numbers: whether p-values and images are as they should be."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from attribution.answer import UNLIKE
from attribution.calibration.watching import Watched, watched

KEPT = 1_000
BINS = 10


@dataclass(frozen=True, slots=True)
class RecentAnswers:
    """Of the last answers that had a p-value.

    Attributes:
        queries: how many, at most `KEPT`.
        p_values: of them by tenths of 0 to 1. All alike where no image has a source held; more in
            the first where some have.
        likened: those whose likeness to the background is known.
        unlike: those of them that are unlike it; a hundredth is what chance gives.
        watched: what the p-values say of the background.
        median_seconds: of an answer; NaN without any. `slow_seconds` is exceeded by one in twenty.
    """

    queries: int
    p_values: tuple[int, ...]
    likened: int
    unlike: int
    watched: Watched
    median_seconds: float
    slow_seconds: float


class Recent:
    """Keeps three numbers of each answer and nothing else; safe for any thread."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float | None, float]] = deque(maxlen=KEPT)
        self._changing = threading.Lock()

    def add(self, p_value: float, likeness: float | None, seconds: float) -> None:
        """An answer was given."""
        with self._changing:
            self._kept.append((p_value, likeness, seconds))

    def summary(self) -> RecentAnswers:
        """What the last ones were like."""
        with self._changing:
            kept = list(self._kept)
        tenths = [0] * BINS
        for p_value, *_ in kept:
            tenths[min(int(p_value * BINS), BINS - 1)] += 1
        likened = [likeness for _, likeness, _ in kept if likeness is not None]
        unlike = sum(likeness <= UNLIKE for likeness in likened)
        seconds = [took for *_, took in kept] or [np.nan]
        return RecentAnswers(
            queries=len(kept),
            p_values=tuple(tenths),
            likened=len(likened),
            unlike=unlike,
            watched=watched([p_value for p_value, *_ in kept]),
            median_seconds=float(np.quantile(seconds, 0.5)),
            slow_seconds=float(np.quantile(seconds, 0.95)),
        )

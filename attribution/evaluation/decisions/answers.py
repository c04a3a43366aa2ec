"""What is kept of answers to queries whose truth is known. Plain records; figures are made of them.

Knows neither who answered nor what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.benchmark.cases import Case
from attribution.evaluation.statistics.bootstrap import components


@dataclass(frozen=True, slots=True)
class Judged:
    """What an answer said of one query, and what is true.

    Attributes:
        p_value: of the answer: attributed at every alpha from there on.
        first: uri of the source at rank 1; None where nothing was found.
        right: it is a true source.
        wrong_p_value: the smallest p-value among the listed sources that are not true ones; 1 if
            there are none.
        named_p_value: the largest p-value among the true sources: all are named at every alpha
            from there on; 1 if one of them is not listed.
        share: of the source at rank 1.
        unattributed_share: of the answer.
        credit: what `share` should be: one of n true sources has 1/n, any other source 0.
        sourceless: no true source was in the searched gallery.
        place: rank of the first true source; 0 where none is listed.
        lengths: sources that a list holds, for each of `Decisions.recalls`.
    """

    p_value: float
    first: str | None
    right: bool
    wrong_p_value: float
    named_p_value: float
    share: float
    unattributed_share: float
    credit: float
    sourceless: bool
    place: int = 0
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to some queries under one condition, in one gallery.

    Attributes:
        condition: what was done to the queries.
        left_out: the set whose sources were not in the gallery; None: all were.
        cases: the queries.
        judged: their answers, in the same order.
    """

    condition: str
    left_out: str | None
    cases: tuple[Case, ...]
    judged: tuple[Judged, ...]

    def values(self, name: str) -> NDArray[np.float64]:
        """`(n,)` one field of the answers."""
        return np.array([getattr(each, name) for each in self.judged], np.float64)

    def where(self, name: str | None = None, *, sourceless: bool | None = None) -> Answers:
        """The answers to the queries of one set, or to those with or without a source there."""
        chosen = [
            (case, each)
            for case, each in zip(self.cases, self.judged, strict=True)
            if name in (None, case.set) and sourceless in (None, each.sourceless)
        ]
        cases, judged = (tuple(each) for each in zip(*chosen, strict=True)) if chosen else ((), ())
        return Answers(self.condition, self.left_out, cases, judged)

    @property
    def groups(self) -> NDArray[np.intp]:
        """`(n,)` number of each query's group: those that share sources; without any, itself."""
        numbers = np.arange(len(self.cases), dtype=np.intp)
        with_truth = np.array([bool(case.truths) for case in self.cases], bool)
        if with_truth.any():
            joined = components([case for case in self.cases if case.truths])
            numbers[with_truth] = len(self.cases) + joined
        return numbers

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the queries' sets, in order."""
        return tuple(dict.fromkeys(case.set for case in self.cases))

    def __len__(self) -> int:
        return len(self.cases)


@dataclass(frozen=True, slots=True)
class Decisions:
    """All answers of a run.

    Attributes:
        alphas: of `ALPHAS`, those that the background is large enough for.
        recalls: of `RECALLS`, those that lists are known to reach.
        answers: for each condition those in the whole gallery, then those without each set.
    """

    alphas: tuple[float, ...]
    answers: tuple[Answers, ...]
    recalls: tuple[float, ...] = ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(each.condition for each in self.answers))

    def whole(self, condition: str) -> Answers:
        """The answers in the whole gallery."""
        return next(e for e in self.answers if e.condition == condition and e.left_out is None)

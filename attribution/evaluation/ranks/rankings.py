"""What an evaluation keeps of each method: ranks, which every figure is read from afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attribution.evaluation.benchmark.cases import Case


@dataclass(frozen=True, slots=True)
class Ranking:
    """How one method ranked every case under one condition.

    Attributes:
        method: its name.
        condition: what was done to the queries.
        ranks: of each case, the rank of each of its truths, in the case's order.
        best: of each case, the gallery keys ranked first, best first.
    """

    method: str
    condition: str
    ranks: tuple[tuple[int, ...], ...]
    best: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All rankings of one run.

    Attributes:
        benchmark: name of the data.
        protocol: `open` or `own-exemplars`.
        cut: average precision counts ranks up to this; None: all.
        sources: images in the gallery that are true of some case.
        distractors: images in the gallery that are true of none.
        cases: the cases that were ranked.
        rankings: one for each method and condition.
    """

    benchmark: str
    protocol: str
    cut: int | None
    sources: int
    distractors: int
    cases: tuple[Case, ...]
    rankings: tuple[Ranking, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(ranking.method for ranking in self.rankings))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(ranking.condition for ranking in self.rankings))

    def ranking(self, method: str, condition: str) -> Ranking:
        """The ranking of one method under one condition.

        Raises:
            KeyError: it was not run.
        """
        for ranking in self.rankings:
            if (ranking.method, ranking.condition) == (method, condition):
                return ranking
        raise KeyError(f"no ranking of {method!r} under {condition!r}")


def distinct_ranks(case: Case, ranks: Sequence[int], role: str = "") -> tuple[int, ...]:
    """Ranks of a case's sources, each source once, of one role only if given."""
    found = {
        truth.key: rank
        for truth, rank in zip(case.truths, ranks, strict=True)
        if role in ("", truth.role)
    }
    return tuple(found.values())


def ranks_without_others(case: Case, ranks: Sequence[int], role: str) -> tuple[int, ...]:
    """`distinct_ranks` of one role, had the query's other true sources not been held."""
    everyone = {truth.key: rank for truth, rank in zip(case.truths, ranks, strict=True)}
    own = {truth.key for truth in case.truths if truth.role == role}
    others = [rank for key, rank in everyone.items() if key not in own]
    return tuple(
        rank - sum(other < rank for other in others) for key, rank in everyone.items() if key in own
    )

"""Figures of the runs of `infomax.py`, with intervals and tests; knows no encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.benchmark.cases import Case
from attribution.evaluation.benchmark.treatments import CONDITIONS
from attribution.evaluation.statistics.bootstrap import DRAWS, resampled_over_runs
from attribution.evaluation.statistics.equivalence import equivalence

MARGIN = 0.01
ENDPOINT = "mean"
Values = NDArray[np.float64]
COMPARED = (
    ("logdet", "none"),
    ("koleo", "none"),
    ("ica", "none"),
    ("logdet+cca", "none+cca"),
    ("koleo+cca", "none+cca"),
    ("ica+cca", "none+cca"),
    ("none", "base"),
    ("zca", "base"),
    ("cca", "base"),
    ("cca", "none"),
    ("zca", "logdet"),
    ("none+cca", "cca"),
    ("logdet+cca", "cca"),
    ("moco, none", "none"),
    ("moco, logdet", "moco, none"),
    ("dino, none", "none"),
    ("dino, logdet", "dino, none"),
)
"""The first six are the question; the rest is for comparison."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of a run."""

    precisions: Mapping[str, Sequence[float]]
    """By condition, average precision of each case."""
    effective_rank: float
    asymmetry: float
    """Of the whitened cross-covariance C of true pairs: ||C - C'|| / ||C||."""
    positivity: float
    """tr C / ||C||_*; 1 if and only if C is symmetric positive semidefinite."""

    def values(self, of: str) -> Values:
        """Of a condition, or the mean over all of them."""
        if of != ENDPOINT:
            return np.array(self.precisions[of], np.float64)
        mean: Values = np.array([self.precisions[name] for name in CONDITIONS]).mean(axis=0)
        return mean

    def endpoint_of(self, cases: Sequence[Case]) -> float:
        """Mean over sets of the mean over conditions."""
        return mean_of_sets(self.values(ENDPOINT), cases)


def mean_of_sets(values: Values, cases: Sequence[Case]) -> float:
    """Of `(..., n)` figures, the mean over everything else and then over sets."""
    sets = np.array([case.set for case in cases])
    return float(np.mean([values[..., sets == name].mean() for name in dict.fromkeys(sets)]))


def summary(
    bases: Sequence[Mapping[str, Sequence[Found]]],
    cases: Sequence[Case],
    compared: Sequence[tuple[str, str]] = COMPARED,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Levels of every arm and differences of some, each over bases, runs and components."""

    def values(arm: str, of: str, runs: int | None = None) -> Values:
        return np.array([[run.values(of) for run in base[arm][:runs]] for base in bases])

    levels = {}
    for arm in bases[0]:
        drawn = resampled_over_runs(values(arm, ENDPOINT), cases, draws=draws)
        low, high = np.quantile(drawn, [0.025, 0.975])
        runs = [run for base in bases for run in base[arm]]
        levels[arm] = {
            **{name: mean_of_sets(values(arm, name), cases) for name in (*CONDITIONS, ENDPOINT)},
            "low": float(low),
            "high": float(high),
            "runs": [[run.endpoint_of(cases) for run in base[arm]] for base in bases],
            **{
                name: float(np.mean([getattr(run, name) for run in runs]))
                for name in ("effective_rank", "asymmetry", "positivity")
            },
        }
    differences = []
    for first, second in compared:
        counts = [len(bases[0][arm]) for arm in (first, second)]
        paired = min(counts) if min(counts) > 1 else None  # a closed form has one run for all
        by_name = {
            name: values(first, name, paired) - values(second, name, paired)
            for name in (*CONDITIONS, ENDPOINT)
        }
        drawn = resampled_over_runs(by_name[ENDPOINT], cases, draws=draws)
        low, high = np.quantile(drawn, [0.025, 0.975])
        differences.append(
            {
                "first": first,
                "second": second,
                **{name: mean_of_sets(each, cases) for name, each in by_name.items()},
                "low": float(low),
                "high": float(high),
                "equivalence": asdict(equivalence(drawn, margin=MARGIN)),
            }
        )
    return {"arms": levels, "differences": differences}


def markdown(table: Mapping[str, Any]) -> str:
    """Both tables as `docs/method.md` shows them."""
    lines = [
        "| arm | clean | laundered | disguised | mean | effective rank | asymmetry | positivity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm, found in table["arms"].items():
        figures = " | ".join(shown(found[name]) for name in CONDITIONS)
        mean = f"{shown(found[ENDPOINT])} [{shown(found['low'])}, {shown(found['high'])}]"
        lines.append(
            f"| {arm} | {figures} | {mean} | {found['effective_rank']:.0f} | "
            f"{shown(found['asymmetry'])} | {shown(found['positivity'])} |"
        )
    lines += [
        "",
        "| difference | clean | laundered | disguised | mean, 95 % | 90 % | equivalent |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in table["differences"]:
        figures = " | ".join(signed(found[name]) for name in CONDITIONS)
        mean = f"{signed(found[ENDPOINT])} [{signed(found['low'])}, {signed(found['high'])}]"
        test = found["equivalence"]
        p = "< .001" if test["p"] < 0.001 else shown(test["p"])
        verdict = f"{'yes' if test['holds'] else 'no'}, p {p}"
        lines.append(
            f"| {found['first']} - {found['second']} | {figures} | {mean} | "
            f"[{signed(test['low'])}, {signed(test['high'])}] | {verdict} |"
        )
    return "\n".join(lines)


def shown(value: float) -> str:
    """As .123."""
    return f"{value:.3f}".replace("0.", ".", 1)


def signed(value: float) -> str:
    """As +.123 or -.123."""
    return f"{value:+.3f}".replace("0.", ".", 1)

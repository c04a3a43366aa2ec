"""What an evaluation of decisions found: figures, and the answers they are made of, to JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.decisions.answers import Decisions
from attribution.evaluation.decisions.gallery import ASKED, DISTRACTORS, GalleryPlan
from attribution.evaluation.decisions.p_values import (
    RiskCoverage,
    Uniformity,
    risk_coverage,
    uniformity,
)
from attribution.evaluation.decisions.rates import (
    FalseAttribution,
    FalseDiscovery,
    Listing,
    Power,
    false_attributions,
    false_discoveries,
    listings,
    powers,
)
from attribution.evaluation.decisions.reliability import Reliability, reliabilities


@dataclass(frozen=True, slots=True)
class NullFit:
    """How uniform the p-values of queries without source are.

    Attributes:
        condition: what was done to the queries.
        set: their set.
        left_out: their sources had been taken out of the gallery.
        groups: independent groups of queries; the band of `fit` is right only where each query is
            one.
        fit: the comparison.
    """

    condition: str
    set: str
    left_out: bool
    groups: int
    fit: Uniformity


@dataclass(frozen=True, slots=True)
class DecisionReport:
    """Every figure of a run; the modules of the types say what each means.

    Attributes:
        benchmark: name of the data.
        queries: asked under each condition.
        sources: of the gallery, files that are true of some query, each counted once.
        distractors: files that are true of none.
        alphas: at which decisions were counted.
        risk: condition -> curve over all queries of the benchmark, whole gallery.
    """

    benchmark: str
    queries: int
    sources: int
    distractors: int
    alphas: tuple[float, ...]
    false_attribution: tuple[FalseAttribution, ...]
    power: tuple[Power, ...]
    listing: tuple[Listing, ...]
    false_discovery: tuple[FalseDiscovery, ...]
    uniformity: tuple[NullFit, ...]
    risk: Mapping[str, RiskCoverage]
    reliability: tuple[Reliability, ...]


def report_decisions(
    benchmark: Benchmark, plan: GalleryPlan, decisions: Decisions
) -> DecisionReport:
    """All figures of a run."""
    false, found = false_attributions(decisions), powers(decisions)
    distractors = sum(each.collection in (DISTRACTORS, ASKED) for each in plan.images)
    whole = {condition: decisions.whole(condition) for condition in decisions.conditions}
    return DecisionReport(
        benchmark=benchmark.name,
        queries=len(benchmark.cases),
        sources=len(plan.images) - distractors,
        distractors=distractors,
        alphas=decisions.alphas,
        false_attribution=false,
        power=found,
        listing=listings(decisions),
        false_discovery=false_discoveries(false, found),
        uniformity=_null_fits(decisions),
        risk={
            condition: risk_coverage(answers.values("p_value"), answers.values("right") == 0)
            for condition, answers in whole.items()
        },
        reliability=reliabilities(decisions),
    )


def _null_fits(decisions: Decisions) -> tuple[NullFit, ...]:
    found = []
    for answers in decisions.answers:
        without = answers.where(sourceless=True)
        for name in without.sets:
            chosen = without.where(name)
            groups = len(np.unique(chosen.groups))
            fit = uniformity(chosen.values("p_value"))
            found.append(
                NullFit(answers.condition, name, answers.left_out is not None, groups, fit)
            )
    return tuple(found)


def write_decisions(
    path: Path, report: DecisionReport, decisions: Decisions, extra: Mapping[str, Any]
) -> None:
    """Figures and every answer, so that other figures need no new run."""
    document = {
        **extra,
        **asdict(report),
        "answers": [
            {
                "condition": answers.condition,
                "left_out": answers.left_out,
                "queries": [
                    {
                        "query": case.picture.place,
                        "set": case.set,
                        "method": case.method,
                        **asdict(each),
                    }
                    for case, each in zip(answers.cases, answers.judged, strict=True)
                ],
            }
            for answers in decisions.answers
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

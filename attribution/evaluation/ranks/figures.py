"""Figures and intervals read from rankings, to JSON. Knows no image and no descriptor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attribution.evaluation.ranks.rankings import (
    Evaluation,
    Ranking,
    distinct_ranks,
    ranks_without_others,
)
from attribution.evaluation.statistics.bootstrap import (
    Interval,
    Intervals,
    Values,
    components,
    mean_intervals,
    paired_difference,
)
from attribution.measures import (
    average_precision,
    average_precision_ceiling,
    hit_at,
    recall_at,
    recall_ceiling,
)

DEPTHS = (1, 5, 10, 100)
"""Depths at which recall is reported."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the cases of a set, or over a part of it.

    Attributes:
        set: name of the set.
        made_by: generator that the cases are limited to; empty: all.
        role: role that the truths are limited to, the query's other true sources being skipped
            where ranks are counted; empty: all.
        queries: number of cases.
        components: that are independent of each other.
        hit: share of the cases with any true source at rank 1.
        recall: depth -> mean share of the true sources within it.
        recall_ceiling: depth -> the largest that recall can be.
        precision: mean average precision with its 95 % interval.
        precision_ceiling: the largest it can be.
        precision_among_all: mean average precision at the ranks among all sources, the other true
            ones too, as it was reported before; the same without a role.
    """

    set: str
    made_by: str
    role: str
    queries: int
    components: int
    hit: float
    recall: Mapping[int, float]
    recall_ceiling: Mapping[int, float]
    precision: Interval
    precision_ceiling: float
    precision_among_all: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one ranking: a row a set, then its roles and generators; and the mean."""

    method: str
    condition: str
    rows: tuple[Figures, ...]
    mean: Interval
    """Unweighted mean over sets of the mean average precision."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean average precision of one method minus that of another, on the same cases."""

    method: str
    against: str
    condition: str
    intervals: Intervals


def summarise(evaluation: Evaluation, ranking: Ranking, *, per_method: bool = False) -> Summary:
    """Figures of a ranking by set and role, and by generator where asked."""
    intervals = mean_intervals(_precisions(evaluation, ranking), evaluation.cases)
    rows: list[Figures] = []
    for name in intervals.sets:
        rows.append(_figures(evaluation, ranking, name))
        inside = [case for case in evaluation.cases if case.set == name]
        roles = sorted({truth.role for case in inside for truth in case.truths})
        if len(roles) > 1:
            rows += [_figures(evaluation, ranking, name, role=role) for role in roles if role]
        generators = sorted({case.method for case in inside} - {""}) if per_method else []
        rows += [_figures(evaluation, ranking, name, made_by=maker) for maker in generators]
    return Summary(ranking.method, ranking.condition, tuple(rows), intervals.mean)


def difference(evaluation: Evaluation, method: str, against: str, condition: str) -> Difference:
    """Paired difference of two methods, sets and mean over sets."""
    first, second = (
        _precisions(evaluation, evaluation.ranking(name, condition)) for name in (method, against)
    )
    return Difference(
        method, against, condition, paired_difference(first, second, evaluation.cases)
    )


def write_json(
    path: Path,
    evaluation: Evaluation,
    summaries: Sequence[Summary],
    differences: Sequence[Difference],
    extra: Mapping[str, Any],
) -> None:
    """Figures, differences and every rank, so that other figures need no new run."""
    document = {
        "benchmark": evaluation.benchmark,
        "protocol": evaluation.protocol,
        "cut": evaluation.cut,
        "sources": evaluation.sources,
        "distractors": evaluation.distractors,
        **extra,
        "summaries": [asdict(summary) for summary in summaries],
        "differences": [asdict(each) for each in differences],
        "cases": [
            {
                "query": case.picture.place,
                "set": case.set,
                "method": case.method,
                "truths": [asdict(truth) for truth in case.truths],
            }
            for case in evaluation.cases
        ],
        "rankings": [asdict(ranking) for ranking in evaluation.rankings],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _precisions(evaluation: Evaluation, ranking: Ranking) -> Values:
    """`(n,)` average precision of each case."""
    pairs = zip(evaluation.cases, ranking.ranks, strict=True)
    return np.array(
        [average_precision(distinct_ranks(case, found), evaluation.cut) for case, found in pairs]
    )


def _figures(
    evaluation: Evaluation, ranking: Ranking, name: str, *, role: str = "", made_by: str = ""
) -> Figures:
    chosen = [
        (case, found, ranks)
        for case, ranks in zip(evaluation.cases, ranking.ranks, strict=True)
        if case.set == name
        and made_by in ("", case.method)
        and (found := distinct_ranks(case, ranks, role))
    ]
    cases = [case for case, _, _ in chosen]
    ranks = [
        ranks_without_others(case, every, role) if role else found for case, found, every in chosen
    ]
    cut = evaluation.cut

    def mean(measure: Callable[[tuple[int, ...]], float]) -> float:
        return float(np.mean([measure(found) for found in ranks]))

    def recall(k: int) -> float:
        return mean(lambda found: recall_at(found, k))

    def ceiling(k: int) -> float:
        return mean(lambda found: recall_ceiling(len(found), k))

    precisions = np.array([average_precision(found, cut) for found in ranks])
    return Figures(
        set=name,
        made_by=made_by,
        role=role,
        queries=len(cases),
        components=len(set(components(cases).tolist())),
        hit=mean(lambda found: hit_at(found, 1)),
        recall={k: recall(k) for k in DEPTHS},
        recall_ceiling={k: ceiling(k) for k in DEPTHS},
        precision=mean_intervals(precisions, cases).mean,
        precision_ceiling=mean(lambda found: average_precision_ceiling(len(found), cut)),
        precision_among_all=float(np.mean([average_precision(each, cut) for _, each, _ in chosen])),
    )

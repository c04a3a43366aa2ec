"""The pictures of an evaluation: which curves and which queries, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.benchmark.cases import Benchmark, Case, Picture
from attribution.evaluation.benchmark.treatments import treated_query
from attribution.evaluation.pictures.curves import Curve, precision_recall_picture, recall_picture
from attribution.evaluation.pictures.grid import GridCell, GridRow, grid_picture
from attribution.evaluation.ranks.rankings import Evaluation, Ranking, distinct_ranks
from attribution.measures import (
    RECALL_GRID,
    average_precision,
    precision_recall,
    recall_curve,
)

SHOWN = 5
"""Ranked images shown of each query."""
QUERIES = 6
"""Queries shown of each set."""
_DEPTHS = 60


def write_pictures(evaluation: Evaluation, benchmark: Benchmark, folder: Path) -> tuple[Path, ...]:
    """Write three pictures for every set and condition.

    `precision-recall-SET-CONDITION.png` and `recall-SET-CONDITION.png` hold the curves of all
    methods, `found-SET-CONDITION.png` some queries of the set, evenly spaced, as the first method
    ranked them.

    Args:
        evaluation: what was found.
        benchmark: that it was found on, whose images are shown.
        folder: created if need be.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {picture.key: picture for picture in benchmark.gallery}
    sets = np.array([case.set for case in evaluation.cases])
    written: list[Path] = []
    for name in dict.fromkeys(sets.tolist()):
        inside = np.flatnonzero(sets == name)
        for condition in evaluation.conditions:
            title = f"{name}, {condition} queries"
            kinds = ("precision-recall", "recall", "found")
            paths = [folder / f"{kind}-{_file_name(name)}-{condition}.png" for kind in kinds]
            precision, recall = _curves(evaluation, condition, inside)
            precision_recall_picture(precision, paths[0], title=f"Precision and recall: {title}")
            recall_picture(recall, paths[1], title=f"Recall at K: {title}")
            ranking = evaluation.ranking(evaluation.methods[0], condition)
            rows = _grid_rows(evaluation.cases, ranking, inside, pictures)
            grid_picture(rows, paths[2], title=f"{ranking.method}: {title}")
            written += paths
    return tuple(written)


def _curves(
    evaluation: Evaluation, condition: str, inside: NDArray[np.intp]
) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Precision-recall and recall at K of every method; its mean average precision in its name."""
    size = evaluation.sources + evaluation.distractors
    depths = np.unique(np.geomspace(1, size, _DEPTHS).round().astype(int))
    precision: dict[str, Curve] = {}
    recall: dict[str, Curve] = {}
    for method in evaluation.methods:
        ranking = evaluation.ranking(method, condition)
        ranks = [distinct_ranks(evaluation.cases[n], ranking.ranks[n]) for n in inside]
        value = np.mean([average_precision(found, evaluation.cut) for found in ranks])
        precision[f"{method}, mAP {value:.3f}"] = np.stack([RECALL_GRID, precision_recall(ranks)])
        recall[method] = np.stack([depths.astype(float), recall_curve(ranks, depths.tolist())])
    return precision, recall


def _grid_rows(
    cases: Sequence[Case],
    ranking: Ranking,
    inside: NDArray[np.intp],
    pictures: dict[str, Picture],
) -> list[GridRow]:
    places = np.linspace(0, len(inside) - 1, min(QUERIES, len(inside))).round().astype(int)
    rows = []
    for number in inside[places]:
        case = cases[number]
        query = treated_query(case, int(number), ranking.condition)
        truths = {truth.key: truth.role for truth in case.truths}
        rows.append(
            GridRow(
                GridCell(query, case.method or PurePosixPath(case.picture.place).name),
                [GridCell(pictures[key].load(), role) for key, role in truths.items()][:SHOWN],
                [
                    GridCell(pictures[key].load(), PurePosixPath(key).name, right=key in truths)
                    for key in ranking.best[number][:SHOWN]
                ],
            )
        )
    return rows


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "set"

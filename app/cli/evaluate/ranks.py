"""`attribution evaluate` of ranks: how well methods rank true sources, with intervals."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.cli.console import out, progress, warn
from app.cli.evaluate.methods import Fitting, load_encoders, methods_of
from app.cli.evaluate.tables import difference_table, left_out_words, pairs_table, summary_table
from app.cli.failures import BadInvocation
from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.screening import LeftOut
from attribution.evaluation.ranks.diagnostics import CrossCovariance, cross_covariance
from attribution.evaluation.ranks.figures import (
    Difference,
    Summary,
    difference,
    summarise,
    write_json,
)
from attribution.evaluation.ranks.methods import Method, PooledDescriber, Rows, under_head
from attribution.evaluation.ranks.protocol import Protocol, evaluate
from attribution.evaluation.ranks.rankings import Evaluation
from attribution.evaluation.statistics.folds import require_groups
from models.encoder import Encoder

RESULT = "evaluation.json"


def evaluate_ranks(
    benchmark: Benchmark,
    left_out: Sequence[LeftOut],
    *,
    conditions: Sequence[str],
    protocol: Protocol,
    encoder_names: Sequence[str],
    baselines: Sequence[str],
    fitting: Fitting | None,
    mirrored: bool,
    per_method: bool,
    against: str | None,
    device: str,
    out_folder: Path | None,
) -> None:
    """Describe all images by every method, rank, and print what the ranks were worth.

    Each method is compared with the one named `against`, or with the first.
    """
    if "supervised" in baselines:  # better said now than when every image is described
        require_groups([[truth.key for truth in case.truths] for case in benchmark.ranked])
    encoders = load_encoders(encoder_names, device)
    with progress() as bar:
        task = bar.add_task("Fitting baselines", total=None)
        methods = methods_of(encoders, mirrored=mirrored, baselines=baselines, fitting=fitting)
        bar.update(task, total=0)
    reference = _reference(against, methods)
    pairs = _TruePairs(encoders)
    with progress() as bar:
        task = bar.add_task("Describing images")
        result = evaluate(
            benchmark,
            methods,
            conditions=conditions,
            protocol=protocol,
            on_images=lambda done, total: bar.update(task, completed=done, total=total),
            on_pairs=pairs,
        )
    summaries = [summarise(result, each, per_method=per_method) for each in result.rankings]
    differences = [
        difference(result, method, reference, condition)
        for condition in result.conditions
        for method in result.methods
        if method != reference
    ]
    _show(result, left_out, reference, summaries, differences, pairs.found)
    if out_folder is None:
        return
    from attribution.evaluation.pictures.rank_pictures import write_pictures

    extra = {
        "left_out": [asdict(each) for each in left_out],
        "command": " ".join(["attribution", *sys.argv[1:]]),
        "encoders": {name: encoder.model_id for name, encoder in encoders.items()},
        "true_pairs": {name: asdict(found) for name, found in pairs.found.items()},
    }
    write_json(out_folder / RESULT, result, summaries, differences, extra)
    write_pictures(result, benchmark, out_folder)
    out.print(f"{out_folder}: {RESULT} and pictures")


@dataclass(frozen=True, slots=True)
class _TruePairs:
    """Collects the diagnostics of each encoder's rows on true pairs."""

    encoders: dict[str, Encoder]
    found: dict[str, CrossCovariance] = field(default_factory=dict)

    def __call__(self, describer: str, queries: Rows, sources: Rows) -> None:
        for name, encoder in self.encoders.items():
            if PooledDescriber(encoder).name != describer:
                continue
            try:
                self.found[name] = cross_covariance(
                    under_head(encoder, queries, "query"), under_head(encoder, sources, "source")
                )
            except ValueError as error:
                warn(f"{name}: no diagnostics of true pairs: {error}")


def _reference(against: str | None, methods: Sequence[Method]) -> str:
    names = [method.name for method in methods]
    if against is not None and against not in names:
        raise BadInvocation(f"--against {against}: the methods are {', '.join(names)}")
    return against or names[0]


def _show(
    result: Evaluation,
    left_out: Sequence[LeftOut],
    reference: str,
    summaries: Sequence[Summary],
    differences: Sequence[Difference],
    pairs: Mapping[str, CrossCovariance],
) -> None:
    for condition in result.conditions:
        out.print(summary_table(condition, [s for s in summaries if s.condition == condition]))
    if differences:
        out.print(difference_table(reference, differences))
    if pairs:
        out.print(pairs_table(pairs))
    cut = "not cut" if result.cut is None else f"cut at rank {result.cut}"
    out.print(
        f"{len(result.cases)} queries, {result.sources} sources, {result.distractors} distractors"
        f"{left_out_words(left_out)}; "
        f"protocol {result.protocol}, average precision {cut}"
    )

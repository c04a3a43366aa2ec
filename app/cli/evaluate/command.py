"""`attribution evaluate`: how well methods rank true sources, with intervals."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.console import out, progress, warn
from app.cli.evaluate.methods import (
    fitting_images,
    load_encoders,
    methods_of,
    wanted_baselines,
)
from app.cli.evaluate.tables import difference_table, pairs_table, summary_table
from app.cli.failures import BadInvocation
from app.cli.train.recipes import refuse_device
from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.benchmark.treatments import CONDITIONS
from attribution.evaluation.ranks.baselines import NAMES
from attribution.evaluation.ranks.diagnostics import CrossCovariance, cross_covariance
from attribution.evaluation.ranks.figures import difference, summarise, write_json
from attribution.evaluation.ranks.methods import Method, PooledDescriber, Rows, under_head
from attribution.evaluation.ranks.protocol import evaluate
from attribution.evaluation.ranks.rankings import Evaluation
from attribution.evaluation.statistics.folds import require_groups
from models.encoder import Encoder

RESULT = "evaluation.json"


def evaluate_command(
    data: Annotated[
        Path,
        typer.Argument(
            help="A folder with manifest.jsonl, JSON in the layout of AbC (a file or a folder of "
            "them), or a folder of subjects with several images each."
        ),
    ],
    distractors: Annotated[
        Path | None,
        typer.Option(
            help="Images that compete and are no source: a folder of images or of tar files."
        ),
    ] = None,
    kind: Annotated[
        Literal["manifest", "abc", "instances"] | None,
        typer.Option("--format", help="Of DATA.  [default: found out]"),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that the image paths of AbC are relative to.")
    ] = None,
    protocol: Annotated[
        Literal["open", "own-exemplars"],
        typer.Option(
            help="`open`: all sources compete. `own-exemplars`: those of the query's own model "
            "and the distractors, as AbC does."
        ),
    ] = "open",
    condition: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What is done to the queries: {', '.join(CONDITIONS)} or all; repeat for "
            "several.  [default: clean]"
        ),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="`bundled`, a folder made by `attribution train`, or a backbone; repeat for "
            "several.  [default: bundled]"
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(NAMES)}; repeat for several."),
    ] = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="All baselines.")] = False,
    mirrored: Annotated[
        bool,
        typer.Option("--mirrored", help="Each encoder once more, with mirrored queries."),
    ] = False,
    per_method: Annotated[
        bool, typer.Option("--per-method", help="Also figures for each generator of queries.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="Method that the others are compared with.  [default: the first]"),
    ] = None,
    fit_images: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder or tar file of unlabelled images that whitening and CCA are fitted on; "
            "repeat for several. Keep the gallery out of them."
        ),
    ] = None,
    background: Annotated[
        Path | None, typer.Option(help="Text file of names that are kept out of fitting.")
    ] = None,
    head_images: Annotated[
        int, typer.Option(min=100, help="Fit on at most so many images.")
    ] = 5000,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    decisions: Annotated[
        bool,
        typer.Option(
            "--decisions",
            help="Measure the service's answers instead of ranks: false attribution, power, "
            "p-values and shares. One encoder, protocol open.",
        ),
    ] = False,
    gallery: Annotated[
        Path | None,
        typer.Option(
            help="With --decisions: ingest into this folder and use what is there already.  "
            "[default: a temporary one]"
        ),
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write JSON and pictures to this folder.")
    ] = None,
) -> None:
    """Measure how well encoders and baselines rank true sources.

    Prints hit@1 (any source first), recall (share of the sources found) and mean average precision
    with a 95 % interval, for each set and role, and the paired differences between methods. With
    --decisions it asks the whole service instead, and measures how far its p-values, decisions and
    shares can be trusted. See docs/evaluation.md for what the figures mean.
    """
    started = time.perf_counter()
    conditions = _conditions(condition)
    refuse_device(device)
    if out_folder is not None:  # hours before there is something to write
        import attribution.evaluation.pictures.curves  # noqa: F401, PLC0415 - needs an extra

        out_folder.mkdir(parents=True, exist_ok=True)
    if gallery is not None and not decisions:
        raise BadInvocation("--gallery holds what is searched with --decisions: give both")
    if decisions:
        from app.cli.evaluate.decisions import evaluate_decisions  # noqa: PLC0415 - needs an extra

        _refuse_with_decisions(
            {
                "--protocol": protocol != "open",
                "--baseline": bool(baseline) or baselines,
                "--mirrored": mirrored,
                "--per-method": per_method,
                "--against": against is not None,
                "--fit-images": bool(fit_images),
                "--background": background is not None,
                "more than one --encoder": len(encoder or ()) > 1,
            }
        )
        evaluate_decisions(
            read_benchmark(data, kind=kind, root=root, distractors=distractors),
            encoder=(encoder or ["bundled"])[0],
            device=device,
            conditions=conditions,
            gallery=gallery,
            out_folder=out_folder,
        )
        out.print(f"{time.perf_counter() - started:.0f} s")
        return
    wanted = wanted_baselines(baseline, everything=baselines)
    fitting = fitting_images(wanted, fit_images, background, head_images)
    benchmark = read_benchmark(data, kind=kind, root=root, distractors=distractors)
    if "supervised" in wanted:  # better said now than when every image has been described
        require_groups([[truth.key for truth in case.truths] for case in benchmark.ranked])
    encoders = load_encoders(encoder or ["bundled"], device)
    with progress() as bar:
        task = bar.add_task("Fitting baselines", total=None)
        methods = methods_of(encoders, mirrored=mirrored, baselines=wanted, fitting=fitting)
        bar.update(task, total=0)
    reference = _reference(against, methods)
    pairs = _Pairs(encoders)
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
    _report(result, benchmark, reference, pairs, per_method=per_method, out_folder=out_folder)
    out.print(f"{time.perf_counter() - started:.0f} s")


@dataclass(frozen=True, slots=True)
class _Pairs:
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


def _refuse_with_decisions(given: Mapping[str, bool]) -> None:
    """Options that compare methods say nothing of the answers of one service."""
    for name, present in given.items():
        if present:
            raise BadInvocation(f"--decisions asks one service as it answers: leave out {name}")


def _reference(against: str | None, methods: Sequence[Method]) -> str:
    names = [method.name for method in methods]
    if against is not None and against not in names:
        raise BadInvocation(f"--against {against}: the methods are {', '.join(names)}")
    return against or names[0]


def _conditions(given: Sequence[str] | None) -> tuple[str, ...]:
    chosen = set(given or ["clean"])
    unknown = sorted(chosen - {*CONDITIONS, "all"})
    if unknown:
        raise BadInvocation(f"--condition {unknown[0]}: choose {', '.join(CONDITIONS)} or all")
    return tuple(name for name in CONDITIONS if name in chosen or "all" in chosen)


def _report(
    result: Evaluation,
    benchmark: Benchmark,
    reference: str,
    pairs: _Pairs,
    *,
    per_method: bool,
    out_folder: Path | None,
) -> None:
    summaries = [summarise(result, each, per_method=per_method) for each in result.rankings]
    differences = [
        difference(result, method, reference, condition)
        for condition in result.conditions
        for method in result.methods
        if method != reference
    ]
    for condition in result.conditions:
        out.print(summary_table(condition, [s for s in summaries if s.condition == condition]))
    if differences:
        out.print(difference_table(reference, differences))
    if pairs.found:
        out.print(pairs_table(pairs.found))
    cut = "not cut" if result.cut is None else f"cut at rank {result.cut}"
    out.print(
        f"{len(result.cases)} queries, {result.sources} sources, {result.distractors} distractors; "
        f"protocol {result.protocol}, average precision {cut}"
    )
    if out_folder is None:
        return
    from attribution.evaluation.pictures.rank_pictures import write_pictures  # noqa: PLC0415 - only for --out

    extra = {
        "command": " ".join(["attribution", *sys.argv[1:]]),
        "encoders": {name: encoder.model_id for name, encoder in pairs.encoders.items()},
        "true_pairs": {name: asdict(found) for name, found in pairs.found.items()},
    }
    write_json(out_folder / RESULT, result, summaries, differences, extra)
    write_pictures(result, benchmark, out_folder)
    out.print(f"{out_folder}: {RESULT} and pictures")

"""`attribution evaluate`: how well methods rank true sources, with intervals."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from PIL import Image

from app.cli.console import out, progress, warn
from app.cli.evaluation_tables import difference_table, pairs_table, summary_table
from app.cli.failures import BadInvocation
from attribution.evaluation.baselines import FITTED, NAMES, make
from attribution.evaluation.cases import Benchmark
from attribution.evaluation.diagnostics import CrossCovariance, cross_covariance
from attribution.evaluation.formats import read_benchmark
from attribution.evaluation.laundering import CONDITIONS
from attribution.evaluation.methods import (
    Method,
    PooledDescriber,
    Rows,
    encoder_method,
    under_head,
)
from attribution.evaluation.protocol import evaluate
from attribution.evaluation.results import Evaluation, difference, summarise, write_json
from attribution.training.images import member_names, read_pictures
from models import load_encoder
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
    out_folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write JSON and pictures to this folder.")
    ] = None,
) -> None:
    """Measure how well encoders and baselines rank true sources.

    Prints hit@1 (any source first), recall (share of the sources found) and mean average precision
    with a 95 % interval, for each set and role, and the paired differences between methods. See
    docs/evaluation.md for what the figures mean.
    """
    started = time.perf_counter()
    conditions = _conditions(condition)
    wanted = _wanted(baseline, everything=baselines)
    fitting = _fitting(wanted, fit_images, background, head_images)
    benchmark = read_benchmark(data, kind=kind, root=root, distractors=distractors)
    if out_folder is not None:
        out_folder.mkdir(parents=True, exist_ok=True)
    encoders = _encoders(encoder or ["bundled"], device)
    with progress() as bar:
        task = bar.add_task("Fitting baselines", total=None)
        methods = _methods(encoders, mirrored=mirrored, baselines=wanted, fitting=fitting)
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
class _Fitting:
    """Images to fit on, read again each time they are gone through."""

    paths: tuple[Path, ...]
    names: frozenset[str]

    def __iter__(self) -> Iterator[Image.Image]:
        return read_pictures(self.paths, self.names)


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


def _wanted(chosen: list[str] | None, *, everything: bool) -> tuple[str, ...]:
    if everything:
        return NAMES
    unknown = sorted(set(chosen or ()) - set(NAMES))
    if unknown:
        raise BadInvocation(f"--baseline {unknown[0]}: choose from {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in (chosen or ()))


def _fitting(
    wanted: Iterable[str], paths: list[Path] | None, background: Path | None, limit: int
) -> _Fitting | None:
    """A random sample of the images given, so that the order of names decides nothing."""
    needed = [name for name in wanted if name in FITTED]
    if not needed:
        return None
    if not paths:
        raise BadInvocation(f"{', '.join(needed)} are fitted on images: give --fit-images")
    kept_out = set() if background is None else set(background.read_text().splitlines())
    names = sorted(member_names(paths) - kept_out)
    if not names:
        raise BadInvocation(f"--fit-images: no images in {', '.join(map(str, paths))}")
    chosen = np.random.default_rng(0).permutation(len(names))[:limit]
    return _Fitting(tuple(paths), frozenset(names[place] for place in chosen))


def _encoders(names: Sequence[str], device: str) -> dict[str, Encoder]:
    """Encoders by the name on their card, or as they were given where two cards agree."""
    found: dict[str, Encoder] = {}
    for name in dict.fromkeys(names):
        encoder = load_encoder(name, device=device)
        found[name if encoder.card.name in found else encoder.card.name] = encoder
    return found


def _methods(
    encoders: dict[str, Encoder],
    *,
    mirrored: bool,
    baselines: Sequence[str],
    fitting: _Fitting | None,
) -> list[Method]:
    methods = []
    for name, encoder in encoders.items():
        methods.append(replace(encoder_method(encoder), name=name))
        if mirrored and encoder.views == 1:  # else it looks at the mirror image as it is
            again = encoder_method(encoder, mirrored=True)
            methods.append(replace(again, name=f"{name}, mirrored"))
    for name in baselines:
        for encoder_name, encoder in encoders.items():
            method = make(name, encoder=encoder, fit=fitting)
            if method.describer.name != PooledDescriber(encoder).name:
                methods.append(method)  # describes images without an encoder: once is enough
                break
            several = len(encoders) > 1
            methods.append(replace(method, name=f"{name} of {encoder_name}" if several else name))
    return methods


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
    from attribution.evaluation.pictures import write_pictures  # noqa: PLC0415 - only for --out

    extra = {
        "command": " ".join(["attribution", *sys.argv[1:]]),
        "encoders": {name: encoder.model_id for name, encoder in pairs.encoders.items()},
        "true_pairs": {name: asdict(found) for name, found in pairs.found.items()},
    }
    write_json(out_folder / RESULT, result, summaries, differences, extra)
    write_pictures(result, benchmark, out_folder)
    out.print(f"{out_folder}: {RESULT} and pictures")

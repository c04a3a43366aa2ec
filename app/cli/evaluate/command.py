"""`attribution evaluate`: the worth of ranks, or of the service's decisions."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import typer

from app.cli.console import out, progress, warn_of_each
from app.cli.evaluate import options
from app.cli.evaluate.methods import fitting_images, wanted_baselines
from app.cli.evaluate.ranks import evaluate_ranks
from app.cli.failures import BadInvocation
from app.cli.images import ImagesLeftOut
from app.cli.options import make_folder
from app.cli.train.recipes import refuse_device
from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.families import FAMILIES
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.benchmark.screening import LeftOut, readable
from attribution.evaluation.benchmark.treatments import CONDITIONS, TREATMENTS


def evaluate_command(
    data: options.Data,
    distractors: options.Distractors = None,
    kind: options.Kind = None,
    root: options.Root = None,
    protocol: options.Protocol = "open",
    condition: options.Condition = None,
    encoder: options.Encoder = None,
    baseline: options.Baseline = None,
    baselines: options.Baselines = False,
    mirrored: options.Mirrored = False,
    per_method: options.PerMethod = False,
    against: options.Against = None,
    fit_images: options.FitImages = None,
    background: options.Background = None,
    head_images: options.HeadImages = 5000,
    device: options.Device = "cpu",
    decisions: options.Decisions = False,
    any_way_up: options.AnyWayUp = False,
    gallery: options.Gallery = None,
    out_folder: options.OutFolder = None,
) -> None:
    """Measure how well encoders and baselines rank true sources.

    Prints hit@1 (any source first), recall (share of the sources found) and mean average precision
    with a 95 % interval, for each set and role, and the paired differences between methods. With
    --decisions it asks the whole service instead, and measures how far its p-values, decisions and
    shares can be trusted. See docs/evaluation.md for what the figures mean.

    Images that cannot be read are left out of every figure, listed and counted. Exits with 1 when
    there were any.
    """
    started = time.perf_counter()
    conditions = chosen_conditions(condition)
    refuse_device(device)
    if out_folder is not None:  # hours before there is something to write
        import attribution.evaluation.pictures.curves  # noqa: F401 - needs an extra

        make_folder(out_folder)
    if gallery is not None and not decisions:
        raise BadInvocation("--gallery holds what is searched with --decisions: give both")
    if any_way_up and not decisions:
        raise BadInvocation("--any-way-up is how the service is asked with --decisions: give both")
    unfitted = ImagesLeftOut()
    read = partial(read_benchmark, data, kind=kind, root=root, distractors=distractors)
    if decisions:
        from app.cli.evaluate.decisions import evaluate_decisions

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
        benchmark, left_out = _readable(read())
        evaluate_decisions(
            benchmark,
            left_out,
            encoder=(encoder or ["bundled"])[0],
            device=device,
            conditions=conditions,
            any_way_up=any_way_up,
            gallery=gallery,
            out_folder=out_folder,
        )
    else:
        wanted = wanted_baselines(baseline, everything=baselines)
        fitting = fitting_images(wanted, fit_images, background, head_images, unfitted)
        benchmark, left_out = _readable(read())
        evaluate_ranks(
            benchmark,
            left_out,
            conditions=conditions,
            protocol=protocol,
            encoder_names=encoder or ["bundled"],
            baselines=wanted,
            fitting=fitting,
            mirrored=mirrored,
            per_method=per_method,
            against=against,
            device=device,
            out_folder=out_folder,
        )
    out.print(f"{time.perf_counter() - started:.0f} s")
    if unfitted:
        unfitted.tell("baselines were fitted without")
    if left_out or unfitted:
        raise typer.Exit(1)


def _readable(benchmark: Benchmark) -> tuple[Benchmark, tuple[LeftOut, ...]]:
    """What can be measured, with progress; what cannot has a line each."""
    with progress() as bar:
        task = bar.add_task("Looking through images", total=None)
        left, left_out = readable(
            benchmark,
            on_images=lambda done, total: bar.update(task, completed=done, total=total),
        )
    warn_of_each(
        [f"left out {each.kind} {each.place}: {each.reason}" for each in left_out],
        where="--out writes them all",
    )
    return left, left_out


def _refuse_with_decisions(given: Mapping[str, bool]) -> None:
    """Options that compare methods say nothing of the answers of one service."""
    for name, present in given.items():
        if present:
            raise BadInvocation(f"--decisions asks one service as it answers: leave out {name}")


def chosen_conditions(given: Sequence[str] | None) -> tuple[str, ...]:
    """Names of treatments, in their order.

    Raises:
        BadInvocation: one is not known.
    """
    chosen = set(given or ["clean"])
    of_all: dict[str, Collection[str]] = {"all": CONDITIONS, "families": FAMILIES}
    unknown = sorted(chosen - {*TREATMENTS, *of_all})
    if unknown:
        known = ", ".join([*TREATMENTS, *of_all])
        raise BadInvocation(f"--condition {unknown[0]}: choose among {known}")
    for name in of_all.keys() & chosen:
        chosen |= set(of_all[name])
    return tuple(name for name in TREATMENTS if name in chosen)

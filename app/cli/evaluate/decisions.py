"""`attribution evaluate --decisions`: the service's own answers to queries whose truth is known."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.cli.console import out, progress, warn
from app.cli.evaluate.decision_tables import decision_tables
from app.cli.evaluate.tables import left_out_words
from app.cli.failures import BadInvocation
from app.cli.options import settings_from
from app.settings import Settings
from attribution.catalog import Catalog
from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.screening import LeftOut
from attribution.evaluation.decisions.answers import Decisions
from attribution.evaluation.decisions.decisions import ALPHAS, decide
from attribution.evaluation.decisions.gallery import GalleryPlan, fill_gallery, plan_gallery
from attribution.evaluation.decisions.report import (
    DecisionReport,
    report_decisions,
    write_decisions,
)
from attribution.opening.gallery import open_gallery
from attribution.opening.load import Vision, load_vision

RESULT = "decisions.json"


def evaluate_decisions(
    benchmark: Benchmark,
    left_out: Sequence[LeftOut],
    *,
    encoder: str,
    device: str,
    conditions: Sequence[str],
    any_way_up: bool,
    gallery: Path | None,
    out_folder: Path | None,
) -> None:
    """Ingest the gallery, calibrate, ask, and print what the answers were worth."""
    with _folder(gallery) as folder:
        settings = _settings(folder, encoder, device)
        vision = load_vision(settings)
        if vision.background is None:
            raise BadInvocation(
                f"--encoder {encoder}: it has no background, so it decides nothing here; train "
                "one with `attribution train --background`, or a head on it with --scope head"
            )
        plan = plan_gallery(benchmark)
        _ingest(plan, vision, settings)
        decisions, calibration_id = _ask(
            benchmark, plan, vision, settings, conditions, any_way_up=any_way_up
        )
    report = report_decisions(benchmark, plan, decisions)
    for alpha in sorted(set(ALPHAS) - set(report.alphas), reverse=True):
        warn(f"alpha {alpha:g} is left out: the background is too small to bear it out")
    for table in decision_tables(report):
        out.print(table)
    out.print(
        f"{report.queries} queries, {report.sources} sources, {report.distractors} distractors"
        f"{left_out_words(left_out)}; "
        f"encoder {vision.encoder.model_id}, calibration {calibration_id}"
    )
    if out_folder is not None:
        extra = {
            "left_out": [asdict(each) for each in left_out],
            "command": " ".join(["attribution", *sys.argv[1:]]),
            "model_id": vision.encoder.model_id,
            "calibration_id": calibration_id,
        }
        _write(out_folder, report, decisions, extra)


@contextmanager
def _folder(gallery: Path | None) -> Iterator[Path]:
    if gallery is not None:
        yield gallery
        return
    with tempfile.TemporaryDirectory(prefix="attribution-gallery-") as folder:
        yield Path(folder)


def _settings(folder: Path, encoder: str, device: str) -> Settings:
    """A service on this folder alone, wherever the environment keeps the operator's catalog."""
    settings = settings_from(data=folder, encoder=encoder, device=device)
    return settings.model_copy(update={"database_url": None, "encoder_weights": None})


def _ingest(plan: GalleryPlan, vision: Vision, settings: Settings) -> None:
    with Catalog.open(settings.data) as catalog, progress() as bar:
        task = bar.add_task("Ingesting the gallery", total=len(plan.images))
        fill_gallery(
            catalog,
            vision.encoder,
            plan,
            on_images=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _ask(
    benchmark: Benchmark,
    plan: GalleryPlan,
    vision: Vision,
    settings: Settings,
    conditions: Sequence[str],
    *,
    any_way_up: bool,
) -> tuple[Decisions, str | None]:
    with open_gallery(settings, vision) as opened, progress() as bar:
        calibrating = bar.add_task("Calibrating", total=None)
        opened.calibration.build()
        bar.update(calibrating, total=1, completed=1)
        asking = bar.add_task("Asking", total=None)
        decisions = decide(
            benchmark,
            opened.attributor,
            plan,
            conditions=conditions,
            any_way_up=any_way_up,
            on_steps=lambda done, total: bar.update(asking, completed=done, total=total),
        )
        return decisions, opened.calibration.state().id


def _write(
    folder: Path, report: DecisionReport, decisions: Decisions, extra: dict[str, Any]
) -> None:
    from attribution.evaluation.pictures.decision_pictures import (
        write_decision_pictures,
    )

    folder.mkdir(parents=True, exist_ok=True)
    write_decisions(folder / RESULT, report, decisions, extra)
    write_decision_pictures(report, decisions, folder)
    out.print(f"{folder}: {RESULT} and pictures")

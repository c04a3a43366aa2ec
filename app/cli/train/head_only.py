"""`attribution train --scope head`: a head on a backbone that stays as it is, in minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.console import out, progress
from app.cli.train.progress import background_progress, describe_run, report_encoder
from app.cli.train.recipes import complaints_by_option, given, refuse_device
from attribution.synthesis.background import StrataSizes, expected
from attribution.training.data.framing import read_framed
from attribution.training.data.images import ImageSet, read_pictures
from attribution.training.heads.head import (
    HeadProgress,
    MadeHead,
    check_head,
    head_plans,
    train_head,
)
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.plans import HeadKind
from attribution.training.run.building import build_encoder
from models import load_encoder
from models.encoder import Encoder
from models.images.preprocessing import Preprocessing

IMAGES = 5_000
"""Described by default: a quarter of an hour of a ViT-S on two cores."""


@dataclass(frozen=True, slots=True)
class HeadOnly:
    """What the command line says about a run of this scope."""

    images: Sequence[Path]
    out_folder: Path
    kept_out: frozenset[str]
    strata: StrataSizes
    initial: str
    weights: Path | None
    synthetic: Sequence[Path]
    head: HeadKind
    head_images: int
    device: str
    name: str | None
    data_note: str
    options: dict[str, Any]
    """By field of `HeadRecipe`; None where an option was left out."""


def train_head_only(run: HeadOnly) -> None:
    """Describe the images once, make the head and leave the encoder in OUT/encoder."""
    refuse_device(run.device)
    with complaints_by_option():
        recipe = HeadRecipe(**given(run.options))
    start = load_encoder(run.initial, weights=run.weights, device=run.device)
    blocks = start.backbone.blocks_of_descriptor
    plans = head_plans(run.head, recipe, blocks)
    check_head(plans, recipe, blocks, images=run.head_images)
    run.out_folder.mkdir(parents=True, exist_ok=True)
    shape = Preprocessing(**start.card.preprocessing.model_dump())
    fitting = _read(run.images, shape, run.kept_out, run.head_images, recipe.seed)
    out.print(f"{len(fitting)} images to fit on, {len(run.kept_out)} names held out as background")
    made = _make_head(run, start, fitting, shape, recipe)
    folder = run.out_folder / "encoder"
    with progress() as bar:
        encoder = build_encoder(
            folder,
            start.backbone.to("cpu"),
            None,
            config=recipe,
            description=describe_run(
                run.name or run.out_folder.name, run.data_note, len(fitting), run.images
            ),
            plans=plans,
            parts=made.parts,
            described=made.described,
            origin=start.card,
            mirrored_query=start.card.mirrored_query,
            background=read_pictures(run.images, run.kept_out) if run.kept_out else None,
            background_count=len(run.kept_out),
            strata=run.strata,
            on_background=background_progress(bar, expected(len(run.kept_out), run.strata)),
        )
    report_encoder(folder, encoder)


def _make_head(
    run: HeadOnly, start: Encoder, fitting: ImageSet, shape: Preprocessing, recipe: HeadRecipe
) -> MadeHead:
    """Fit or train it, with progress."""
    synthetic = None
    if run.synthetic:
        synthetic = _read(run.synthetic, shape, frozenset(), run.head_images, recipe.seed)
    with progress(loss="{task.fields[loss]}") as bar:
        tasks = {
            stage: bar.add_task(title, total=None, visible=False, loss="")
            for stage, title in _STAGES.items()
        }

        def show(report: HeadProgress) -> None:
            bar.update(
                tasks[report.stage],
                completed=report.done,
                total=report.total,
                loss="" if report.loss is None else f"loss {report.loss:.3f}",
                visible=True,
            )

        return train_head(
            start.backbone,
            fitting,
            shape,
            head=run.head,
            recipe=recipe,
            synthetic=synthetic,
            on_progress=show,
        )


_STAGES = {
    "images": "Describing images",
    "synthetic": "Describing synthetic images",
    "epochs": "Training the head",
}


def _read(
    paths: Sequence[Path], shape: Preprocessing, kept_out: frozenset[str], limit: int, seed: int
) -> ImageSet:
    with progress() as bar:
        task = bar.add_task("Reading images", total=None)
        images = read_framed(
            paths,
            shape,
            exclude=kept_out,
            limit=limit,
            seed=seed,
            on_read=lambda count: bar.update(task, completed=count),
        )
        bar.update(task, total=len(images))
    return images

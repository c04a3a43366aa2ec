"""`attribution train --scope head`: a head on a backbone that stays as it is, in minutes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.cli.console import out, progress
from app.cli.failures import BadInvocation
from app.cli.training_progress import background_progress
from attribution.synthesis.background import StrataSizes, expected
from attribution.training.building import REFERENCE_ROWS, Description, build_encoder
from attribution.training.framing import read_framed
from attribution.training.head import HeadProgress, check_head, head_plans, train_head
from attribution.training.head_recipe import HeadRecipe
from attribution.training.images import ImageSet, read_pictures
from attribution.training.plans import HeadKind
from models import load_encoder
from models.preprocessing import Preprocessing

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
    head_images: int | None
    device: str
    name: str | None
    data_note: str
    options: dict[str, Any]
    """By field of `HeadRecipe`; None where an option was left out."""


def train_head_only(run: HeadOnly) -> None:
    """Describe the images once, make the head and leave the encoder in OUT/encoder."""
    recipe = _recipe(run.options)
    start = load_encoder(run.initial, weights=run.weights, device=run.device)
    blocks = start.backbone.blocks_of_descriptor
    shape = Preprocessing(**start.card.preprocessing.model_dump())
    plans = head_plans(run.head, recipe, blocks)
    limit = run.head_images or IMAGES
    check_head(plans, recipe, blocks, images=limit)
    fitting = _read(run.images, shape, run.kept_out, limit, recipe.seed)
    second = _read(run.synthetic, shape, frozenset(), limit, recipe.seed) if run.synthetic else None
    out.print(f"{len(fitting)} images to fit on, {len(run.kept_out)} names held out as background")
    with progress(loss="{task.fields[loss]}") as bar:
        tasks = {
            stage: bar.add_task(title, total=None, visible=False, loss="")
            for stage, title in _STAGES.items()
        }

        def show(report: HeadProgress) -> None:
            loss = "" if report.loss is None else f"loss {report.loss:.3f}"
            bar.update(
                tasks[report.stage],
                completed=report.done,
                total=report.total,
                loss=loss,
                visible=True,
            )

        parts = train_head(
            start.backbone,
            fitting,
            shape,
            head=run.head,
            recipe=recipe,
            synthetic=second,
            on_progress=show,
        )
    folder = run.out_folder / "encoder"
    names = frozenset(fitting.names[:REFERENCE_ROWS])
    with progress() as bar:
        on_background = background_progress(bar, expected(len(run.kept_out), run.strata))
        encoder = build_encoder(
            folder,
            start.backbone.to("cpu"),
            None,
            config=recipe,
            description=Description(
                name=run.name or run.out_folder.name,
                data=run.data_note
                or f"{len(fitting)} images of {', '.join(p.name for p in run.images)}",
                command=" ".join(["attribution", *sys.argv[1:]]),
            ),
            plans=plans,
            parts=parts,
            origin=start.card,
            mirrored_query=start.card.mirrored_query,
            reference=read_pictures(run.images, names),
            background=read_pictures(run.images, run.kept_out) if run.kept_out else None,
            background_count=len(run.kept_out),
            strata=run.strata,
            on_background=on_background,
        )
    made = ", ".join(f"{part.name} ({part.head}, {part.dimension})" for part in encoder.card.parts)
    out.print(f"{folder}: model_id {encoder.model_id}, parts: {made}")
    out.print(f"Use it: attribution ingest PHOTOS --encoder {folder}")


_STAGES = {
    "images": "Describing images",
    "synthetic": "Describing synthetic images",
    "epochs": "Training the head",
}


def _recipe(options: dict[str, Any]) -> HeadRecipe:
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return HeadRecipe(**given)
    except ValidationError as error:
        wrong = [
            f"--{'-'.join(map(str, problem['loc']))}: {problem['msg']}".replace("_", "-")
            for problem in error.errors()
        ]
        raise BadInvocation("\n".join(wrong)) from error


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

"""`attribution train --scope head`: a head on a backbone that stays as it is, in minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.console import out, progress
from app.cli.failures import BadInvocation
from app.cli.options import complaints_by_option, make_folder
from app.cli.train.progress import read_with_bar
from app.cli.train.recipes import given, refuse_device
from app.cli.train.run import TrainingRun
from attribution.training.data.framing import read_framed
from attribution.training.data.images import ImageSet
from attribution.training.distributed import started
from attribution.training.heads.head import (
    HeadProgress,
    MadeHead,
    check_head,
    head_plans,
    train_head,
)
from attribution.training.recipe.head_recipe import HeadRecipe
from models import load_encoder
from models.encoder import Encoder
from models.images.preprocessing import Preprocessing

IMAGES = 5_000
"""Described by default: a quarter of an hour of a ViT-S on two cores."""


def train_head_only(
    run: TrainingRun,
    *,
    initial: str,
    weights: Path | None,
    synthetic: Sequence[Path],
    options: Mapping[str, Any],
    stated: HeadRecipe,
) -> None:
    """Describe the images once, make the head and leave the encoder in OUT/encoder.

    Args:
        run: with what else was asked.
        initial: encoder or backbone that the head is made for.
        weights: its official weights file, instead of a download.
        synthetic: folders or tar files of synthetic images, for a map of queries.
        options: by field of `HeadRecipe`; None where an option was left out.
        stated: the recipe that they change.
    """
    refuse_device(run.device)
    if started() > 1:
        raise BadInvocation("--scope head is the work of one process: leave torchrun out")
    with complaints_by_option():
        recipe = HeadRecipe.model_validate(stated.model_dump() | given(options))
    start = load_encoder(initial, weights=weights, device=run.device)
    blocks = start.backbone.blocks_of_descriptor
    plans = head_plans(run.head, recipe, blocks)
    check_head(plans, recipe, blocks, images=run.head_images)
    make_folder(run.out_folder)
    shape = start.card.preprocessing

    def read(paths: Sequence[Path], kept_out: frozenset[str] = frozenset()) -> ImageSet:
        framed = partial(read_framed, paths, shape, limit=run.head_images, seed=recipe.seed)
        return read_with_bar(
            lambda show: framed(exclude=kept_out, on_read=show, on_left_out=run.left_out)
        )

    fitting = read(run.images, run.kept_out)
    out.print(f"{len(fitting)} images to fit on, {len(run.kept_out)} names held out as background")
    made = _make_head(run, start, fitting, shape, recipe, read(synthetic) if synthetic else None)
    run.leave_encoder(
        start.backbone.to("cpu"),
        None,
        learnt=len(fitting),
        config=recipe,
        plans=plans,
        parts=made.parts,
        described=made.described,
        origin=start.card,
        mirrored_query=start.card.mirrored_query,
    )


def _make_head(
    run: TrainingRun,
    start: Encoder,
    fitting: ImageSet,
    shape: Preprocessing,
    recipe: HeadRecipe,
    synthetic: ImageSet | None,
) -> MadeHead:
    """Fit or train it, with progress."""
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

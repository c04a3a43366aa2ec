"""`attribution train`: an encoder from unlabelled images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from app.cli.console import out, progress, warn
from app.cli.failures import BadInvocation
from attribution.training.building import (
    ENCODER_SIDE,
    REFERENCE_ROWS,
    Description,
    build_encoder,
    check_plans,
    plans_for,
)
from attribution.training.config import TrainingConfig, read_config
from attribution.training.images import ImageSet, member_names, read_images, read_pictures
from attribution.training.trainer import StepReport, Trainer
from models.backbones.residual import ResidualNet


def train_command(
    images: Annotated[
        list[Path], typer.Argument(help="Folders or tar files of images; no labels are used.")
    ],
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    background: Annotated[
        Path | None,
        typer.Option(
            help="Text file of image names, one a line, that are kept out of training and head "
            "fitting; they become the background that decisions rest on. Give 1,000 or more.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the recipe; see attribution.training.config.")
    ] = None,
    head: Annotated[
        Literal["cca", "whiten", "none"],
        typer.Option(
            help="`cca` keeps the directions that views share, one part for structure and one for "
            "appearance; `whiten` levels all directions; `none` leaves the descriptor as it is.",
        ),
    ] = "cca",
    components: Annotated[
        int, typer.Option(min=8, help="Directions kept in each part of a head.")
    ] = 512,
    head_images: Annotated[
        int, typer.Option(min=100, help="Fit the head on at most so many images.")
    ] = 50_000,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Scale the recipe to about so many steps; for a quick look."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=8, help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    name: Annotated[str | None, typer.Option(help="Name on the card.")] = None,
    data_note: Annotated[
        str, typer.Option("--data-note", help="Data, in words, for the card.")
    ] = "",
) -> None:
    """Train an encoder from scratch, without labels, and fit its head.

    Views of one image must find each other, and a picture that mixes two images must find both.
    The run is resumed from its last checkpoint when started again with the same --out. The result
    is the folder OUT/encoder, which `--encoder` of every other command takes.
    """
    recipe = _recipe(config, steps=steps, batch=batch, seed=seed)
    plans = plans_for(head, components)
    held_out = _held_out(background, images)
    training = _read(images, recipe.image_side, held_out)
    trainer = Trainer(recipe, training, out_folder, device)
    if head != "none":
        check_plans(plans, descriptor=trainer.net.dimension, images=min(head_images, len(training)))
    out_folder.mkdir(parents=True, exist_ok=True)
    (out_folder / "recipe.json").write_text(recipe.model_dump_json(indent=2) + "\n")
    out.print(f"{len(training)} images to train on, {len(held_out)} names held out as background")
    net = _train(trainer, recipe).to("cpu")
    description = Description(
        name=name or out_folder.name,
        data=data_note or f"{len(training)} images of {', '.join(p.name for p in images)}",
        command=" ".join(["attribution", *sys.argv[1:]]),
    )
    names = frozenset(training.names[:REFERENCE_ROWS])
    fitting = _read(images, ENCODER_SIDE, held_out)  # scaled as a query is
    with progress() as bar:
        task = bar.add_task("Fitting the head", total=min(head_images, len(training)))
        encoder = build_encoder(
            out_folder / "encoder",
            net,
            fitting,
            config=recipe,
            description=description,
            plans=plans,
            reference=read_pictures(images, names),
            background=read_pictures(images, held_out) if held_out else None,
            size=ENCODER_SIDE,
            limit=head_images,
            on_images=lambda done: bar.update(task, completed=done),
        )
    folder = out_folder / "encoder"
    parts = ", ".join(f"{part.name} ({part.head}, {part.dimension})" for part in encoder.card.parts)
    out.print(f"{folder}: model_id {encoder.model_id}, parts: {parts}")
    out.print(f"Use it: attribution ingest PHOTOS --encoder {folder}")


def _recipe(
    path: Path | None, *, steps: int | None, batch: int | None, seed: int | None
) -> TrainingConfig:
    recipe = read_config(path)
    changes: dict[str, int] = {}
    if batch is not None:
        changes["batch"] = batch
    if seed is not None:
        changes["seed"] = seed
    try:
        recipe = TrainingConfig.model_validate(recipe.model_dump() | changes)
    except ValidationError as error:
        wrong = [f"--{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
        raise BadInvocation("\n".join(wrong)) from error
    return recipe if steps is None else recipe.scaled(steps)


def _names(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    return frozenset(line.strip() for line in path.read_text().splitlines() if line.strip())


def _held_out(background: Path | None, images: Sequence[Path]) -> frozenset[str]:
    """Names to hold out. What matches no image is better said before training than after."""
    wanted = _names(background)
    found = wanted & member_names(images)
    if background is not None and not found:
        raise BadInvocation(
            f"{background}: none of its {len(wanted)} names is among the images. Names are paths "
            "within the folder or tar file given, such as deep/photo.jpg"
        )
    if found != wanted:
        warn(f"{background}: {len(wanted - found)} names are not among the images")
    return found


def _read(paths: Sequence[Path], side: int, held_out: frozenset[str]) -> ImageSet:
    with progress() as bar:
        task = bar.add_task("Reading images", total=None)
        images = read_images(
            paths,
            side=side,
            exclude=held_out,
            on_read=lambda count: bar.update(task, completed=count),
        )
        bar.update(task, total=len(images))
    return images


def _train(trainer: Trainer, recipe: TrainingConfig) -> ResidualNet:
    with progress(loss="loss {task.fields[loss]}", rank="rank {task.fields[rank]}") as bar:
        task = bar.add_task(
            "Training", total=recipe.steps, completed=trainer.step, loss="-", rank="-"
        )

        def show(report: StepReport) -> None:
            bar.update(task, completed=report.step, loss=f"{report.loss:.3f}")
            if report.effective_rank is not None:
                bar.update(task, rank=f"{report.effective_rank:.0f}")

        return trainer.run(show)

"""`attribution train` of a network: its weights learn, then a head is fitted on what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.console import out
from app.cli.train.progress import (
    background_progress,
    describe_run,
    first_process_bar,
    read_training_images,
    report_encoder,
    run_trainer,
)
from app.cli.train.recipes import RECIPE, refuse_unfit
from attribution.synthesis.background import StrataSizes, expected
from attribution.training.data.images import read_pictures
from attribution.training.distributed import process_group, rank, world_size
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.plans import HeadKind, PartPlan, check_plans, plans_for
from attribution.training.run.building import ENCODER_SIDE, build_encoder, reference_places
from attribution.training.run.trainer import Trainer
from models.backbones.residual import ResidualNet
from models.encoder import Encoder

FITTED = 50_000
"""Images that a head is fitted on at most, by default."""


@dataclass(frozen=True, slots=True)
class NetworkTraining:
    """What the command line says about a run in which a network learns."""

    images: Sequence[Path]
    out_folder: Path
    kept_out: frozenset[str]
    strata: StrataSizes
    recipe: TrainingConfig
    start: ResidualNet | None
    head: HeadKind
    components: int
    head_images: int
    device: str
    name: str | None
    data_note: str


def train_network(run: NetworkTraining) -> None:
    """Train, in one process or several, and leave the encoder in OUT/encoder."""
    refuse_unfit(run.recipe, run.device)
    plans = plans_for(run.head, run.components)
    with process_group(run.device) as device:
        refuse_unfit(run.recipe, device, world_size())
        trainer = _trainer(run, plans, device)
        first = rank() == 0
        if first:
            _begin(run, trainer)
        net = run_trainer(trainer, run.recipe).to("cpu")
    if first:  # the others have done their share
        folder = run.out_folder / "encoder"
        report_encoder(folder, _encoder(run, folder, net, plans, len(trainer.images)))


def _trainer(run: NetworkTraining, plans: Sequence[PartPlan], device: str) -> Trainer:
    images = read_training_images(run.images, run.recipe.image_side, run.kept_out)
    trainer = Trainer(run.recipe, images, run.out_folder, device, initial=run.start)
    fitted = min(run.head_images, len(images))
    check_plans(plans, descriptor=trainer.net.dimension, images=fitted)
    return trainer


def _begin(run: NetworkTraining, trainer: Trainer) -> None:
    """Keep the recipe and say what the run has to learn from."""
    run.out_folder.mkdir(parents=True, exist_ok=True)
    (run.out_folder / RECIPE).write_text(run.recipe.model_dump_json(indent=2) + "\n")
    out.print(
        f"{len(trainer.images)} images to train on, {len(run.kept_out)} names held out as "
        f"background, {trainer.held_out} images to measure on"
    )


def _encoder(
    run: NetworkTraining, folder: Path, net: ResidualNet, plans: Sequence[PartPlan], learnt: int
) -> Encoder:
    """Fit the head on images scaled as a query is, and write the encoder."""
    fitting = read_training_images(run.images, ENCODER_SIDE, run.kept_out)
    reference = frozenset(fitting.names[place] for place in reference_places(len(fitting)))
    with first_process_bar() as bar:
        task = bar.add_task("Fitting the head", total=min(run.head_images, len(fitting)))
        return build_encoder(
            folder,
            net,
            fitting,
            config=run.recipe,
            description=describe_run(
                run.name or run.out_folder.name, run.data_note, learnt, run.images
            ),
            plans=plans,
            reference=read_pictures(run.images, reference),
            background=read_pictures(run.images, run.kept_out) if run.kept_out else None,
            background_count=len(run.kept_out),
            strata=run.strata,
            on_background=background_progress(bar, expected(len(run.kept_out), run.strata)),
            size=ENCODER_SIDE,
            limit=run.head_images,
            on_images=lambda done: bar.update(task, completed=done),
        )

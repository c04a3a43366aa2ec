"""`attribution train` of a network: its weights learn, then a head is fitted on what they see."""

from __future__ import annotations

from app.cli.console import out
from app.cli.train.progress import read_with_bar, run_trainer
from app.cli.train.recipes import RECIPE, refuse_unfit
from app.cli.train.run import TrainingRun
from attribution.training.data.images import ImageSet, read_images, read_pictures
from attribution.training.distributed import process_group, rank, world_size
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.plans import check_plans, plans_for
from attribution.training.run.building import ENCODER_SIDE, reference_places
from attribution.training.run.trainer import Trainer
from models.backbones.residual import ResidualNet

FITTED = 50_000
"""Images that a head is fitted on at most, by default."""


def train_network(
    run: TrainingRun, recipe: TrainingConfig, start: ResidualNet | None, components: int
) -> None:
    """Train, in one process or several, and leave the encoder in OUT/encoder.

    Args:
        run: with what else was asked.
        recipe: of the network.
        start: network to start from; from scratch for None.
        components: directions kept in each part of the head.
    """
    refuse_unfit(recipe, run.device)
    plans = plans_for(run.head, components)
    with process_group(run.device) as device:
        refuse_unfit(recipe, device, world_size())
        images = _read(run, recipe.image_side)
        trainer = Trainer(recipe, images, run.out_folder, device, initial=start)
        fitted = min(run.head_images, len(images))
        check_plans(plans, descriptor=trainer.net.dimension, images=fitted)
        first = rank() == 0
        if first:
            _begin(run, recipe, trainer)
        net = run_trainer(trainer, recipe).to("cpu")
    if not first:
        return  # the others have done their share
    # The head is fitted on images scaled as a query is.
    fitting = _read(run, ENCODER_SIDE)
    reference = frozenset(fitting.names[place] for place in reference_places(len(fitting)))
    run.leave_encoder(
        net,
        fitting,
        learnt=len(trainer.images),
        config=recipe,
        plans=plans,
        reference=read_pictures(run.images, reference),
        size=ENCODER_SIDE,
    )


def _begin(run: TrainingRun, recipe: TrainingConfig, trainer: Trainer) -> None:
    """Keep the recipe and say what the run has to learn from."""
    run.out_folder.mkdir(parents=True, exist_ok=True)
    (run.out_folder / RECIPE).write_text(recipe.model_dump_json(indent=2) + "\n")
    out.print(
        f"{len(trainer.images)} images to train on, {len(run.kept_out)} names held out as "
        f"background, {trainer.held_out} images to measure on"
    )


def _read(run: TrainingRun, side: int) -> ImageSet:
    """The images, squashed to a square."""
    return read_with_bar(
        lambda show: read_images(
            run.images,
            side=side,
            exclude=run.kept_out,
            on_read=show,
            on_left_out=run.left_out,
        )
    )

"""`attribution train` of a network: its weights learn, then a head is fitted on what they see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

from app.cli.console import out
from app.cli.failures import BadInvocation
from app.cli.options import make_folder
from app.cli.train.progress import read_with_bar, run_trainer
from app.cli.train.recipes import RECIPE, refuse_unfit
from app.cli.train.run import TrainingRun
from app.cli.train.start import Start
from attribution.training.data.framing import read_framed
from attribution.training.data.images import ImageSet, read_images, read_pictures
from attribution.training.distributed import process_group, rank, world_size
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.plans import check_plans, plans_for
from attribution.training.recipe.preflight import UnfitRun
from attribution.training.recipe.recipes import Recipe
from attribution.training.run.batch_norm import estimate_again
from attribution.training.run.building import ENCODER_SIDE, reference_places
from attribution.training.run.cached_views import VIEWS
from attribution.training.run.trainer import Trainer
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing

FITTED = 50_000
"""Images that a head is fitted on at most, by default."""


def train_network(run: TrainingRun, recipe: Recipe, start: Start | None, components: int) -> bool:
    """Train, in one process or several, and leave the encoder in OUT/encoder.

    Args:
        run: with what else was asked.
        recipe: of the network.
        start: network to start from; the project's own from scratch for None.
        components: directions kept in each part of the head.

    Returns:
        Whether this is the first process, which left the encoder; the others only train.
    """
    net = None if start is None else start.net
    card = None if start is None else start.card
    refuse_unfit(recipe, run.device, net=net)
    shape = Preprocessing(ENCODER_SIDE, ENCODER_SIDE) if card is None else card.preprocessing
    read = _reader(run, None if card is None else shape)
    side = recipe.first.image_side
    with process_group(run.device) as device:
        first = rank() == 0  # asked here: once the block has ended every process is alone
        refuse_unfit(recipe, device, world_size(), net)
        make_folder(run.out_folder)
        images = read(side)
        for name, phase in recipe.phases.items():
            trainer = _trainer(run, name, phase, images, device, net, shape)
            blocks = trainer.net.blocks_of_descriptor
            plans = plans_for(run.head, components, None if card is None else blocks)
            fitted = min(run.head_images, len(images))
            check_plans(plans, descriptor=trainer.net.dimension, images=fitted)
            net = run_trainer(trainer, phase, name)
    if net is None or not first:
        return first
    net = net.to("cpu")
    # The head is fitted on images scaled as a query is.
    fitting = images if card is not None and side == shape.height else read(shape.height)
    estimate_again(net, fitting, shape, recipe.widest_scope, seed=recipe.seed)
    reference = frozenset(fitting.names[place] for place in reference_places(len(fitting)))
    run.leave_encoder(
        net,
        fitting,
        learnt=len(trainer.images),
        config=recipe,
        plans=plans,
        reference=read_pictures(run.images, reference),
        size=ENCODER_SIDE,
        **({} if card is None else {"origin": card, "mirrored_query": card.mirrored_query}),
    )
    shutil.rmtree(run.out_folder / VIEWS, ignore_errors=True)
    return first


def _trainer(
    run: TrainingRun,
    name: str,
    phase: TrainingConfig,
    images: ImageSet,
    device: str,
    net: Backbone | None,
    shape: Preprocessing,
) -> Trainer:
    """Of a phase; the first process keeps its recipe and says what it has to learn from."""
    trainer = Trainer(phase, images, run.out_folder, device, initial=net, shape=shape, phase=name)
    if rank() > 0:
        return trainer
    views = trainer.to_cache
    if views is not None:
        try:
            views.require_room()
        except UnfitRun as error:
            raise BadInvocation(str(error)) from error
    folder = run.out_folder / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECIPE).write_text(phase.model_dump_json(indent=2) + "\n")
    out.print(
        f"{name + ': ' if name else ''}{len(trainer.images)} images to train on, "
        f"{len(run.kept_out)} names held out as background, {trainer.held_out} images to measure on"
    )
    if views is not None:
        out.print(
            f"Views of frozen blocks: {views.bytes:,} bytes in {run.out_folder / VIEWS}, until the "
            "run has ended",
            soft_wrap=True,
        )
    return trainer


def _reader(run: TrainingRun, shape: Preprocessing | None) -> Callable[[int], ImageSet]:
    """Reads the images at a side: squashed to a square, or as a published network frames them."""

    def read(side: int) -> ImageSet:
        def show_and_read(show: Callable[[int], None]) -> ImageSet:
            if shape is None:
                return read_images(
                    run.images,
                    side=side,
                    exclude=run.kept_out,
                    on_read=show,
                    on_left_out=run.left_out,
                )
            return read_framed(
                run.images,
                replace(shape, height=side, width=side),
                exclude=run.kept_out,
                on_read=show,
                on_left_out=run.left_out,
            )

        return read_with_bar(show_and_read)

    return read

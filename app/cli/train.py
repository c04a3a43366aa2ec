"""`attribution train`: an encoder from unlabelled images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.console import out
from app.cli.failures import BadInvocation
from app.cli.head_only import IMAGES, HeadOnly, train_head_only
from app.cli.recipes import (
    HELD_OUT,
    RECIPE,
    choose_recipe,
    images_to_hold_out,
    refuse_beside_head,
    refuse_unfit,
)
from app.cli.training_progress import (
    background_progress,
    first_process_bar,
    names_kept_out,
    read_training_images,
    run_trainer,
)
from attribution.synthesis.background import (
    GENERATED_IMAGES,
    LAUNDERED_IMAGES,
    StrataSizes,
    expected,
)
from attribution.training.building import (
    ENCODER_SIDE,
    REFERENCE_ROWS,
    Description,
    build_encoder,
    check_plans,
    plans_for,
)
from attribution.training.distributed import process_group, rank, world_size
from attribution.training.images import read_pictures
from attribution.training.trainer import Trainer
from models.checkpoints import load_backbone

FITTED = 50_000
"""Images that a head is fitted on at most, by default."""


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
    background_generated: Annotated[
        int,
        typer.Option(
            min=0,
            help="So many of the background images also pass through the patch generator, since "
            "queries are not photographs; a second or two of one core each.",
        ),
    ] = GENERATED_IMAGES,
    background_laundered: Annotated[
        int, typer.Option(min=0, help="So many of them are also laundered: cropped, recompressed.")
    ] = LAUNDERED_IMAGES,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the recipe; see attribution.training.config.")
    ] = None,
    initial: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Encoder folder whose weights the run starts from; scratch by default. With "
            "--scope head also a backbone such as `dino-vits16`.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="--scope head: official weights file, instead of a download."),
    ] = None,
    synthetic: Annotated[
        list[Path] | None,
        typer.Option(
            help="--scope head: folder or tar file of unlabelled synthetic images; queries get a "
            "map of their own that gives them the statistics of real ones. Repeatable.",
        ),
    ] = None,
    head: Annotated[
        Literal["cca", "whiten", "linear", "none"],
        typer.Option(
            help="`cca` keeps the directions that views share, a part each for structure, outline "
            "and appearance; `whiten` levels all directions; `linear` is trained, with --scope "
            "head only; `none` leaves the descriptor as it is.",
        ),
    ] = "cca",
    components: Annotated[
        int, typer.Option(min=8, help="Directions kept in each part of a head.")
    ] = 512,
    head_images: Annotated[
        int | None,
        typer.Option(
            min=100,
            help=f"Fit the head on at most so many images, {FITTED:,} by default, {IMAGES:,} with "
            "--scope head.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Scale the recipe to about so many steps; for a quick look."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=8, help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    alignment: Annotated[
        Literal["simclr", "moco", "dino"] | None,
        typer.Option(
            help="What draws views together: `simclr` contrasts the images of a batch, `moco` with "
            "keys of a momentum teacher and a queue, `dino` predicts a teacher's prototypes.",
        ),
    ] = None,
    disentanglement: Annotated[
        Literal["logdet", "koleo", "ica", "none"] | None,
        typer.Option(help="Term that spreads information over all directions."),
    ] = None,
    disentanglement_weight: Annotated[
        float | None, typer.Option(min=0, help="Its weight; 0.1 for `logdet` is a good start.")
    ] = None,
    views: Annotated[
        Literal["plain", "synthesis-aware"] | None,
        typer.Option(help="`plain` leaves out pictures that mix two images, to see their worth."),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="What learns: `full`, `last-N` blocks of the encoder given as --from, or only "
            "the `head` on descriptors that are computed once, in minutes.",
            metavar="full|last-N|head",
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "mixed"] | None,
        typer.Option(help="`mixed` computes the network in half precision, on a GPU only."),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Measure what is learnt on so many images that training never sees, at most a "
            f"tenth of all; 0 trains on all. {HELD_OUT} by default.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu or cuda; with torchrun, one GPU a process.")
    ] = "cpu",
    name: Annotated[str | None, typer.Option(help="Name on the card.")] = None,
    data_note: Annotated[
        str, typer.Option("--data-note", help="Data, in words, for the card.")
    ] = "",
) -> None:
    """Train an encoder, from scratch or further, without labels, and fit its head.

    Views of one image must find each other, and a picture that mixes two images must find both.
    The run is resumed from its last checkpoint when started again with the same --out. The result
    is the folder OUT/encoder, which `--encoder` of every other command takes. What is learnt is
    written to OUT/metrics.jsonl, and to OUT/tensorboard for `tensorboard --logdir OUT`.

    An option left out keeps what --config says. On several processes, with the result of one:
    `torchrun --no-python --nproc-per-node 2 attribution train ...`
    """
    if scope == "head":
        refuse_beside_head(config=config, steps=steps, alignment=alignment, views=views)
        train_head_only(
            HeadOnly(
                images=images,
                out_folder=out_folder,
                kept_out=names_kept_out(background, images),
                strata=StrataSizes(background_generated, background_laundered),
                initial=initial or "bundled",
                weights=weights,
                synthetic=synthetic or [],
                head=head,
                head_images=head_images,
                device=device,
                name=name,
                data_note=data_note,
                options={
                    "seed": seed,
                    "batch": batch,
                    "components": components,
                    "disentanglement": disentanglement,
                    "disentanglement_weight": disentanglement_weight,
                },
            )
        )
        return
    if head == "linear" or weights is not None or synthetic:
        raise BadInvocation("--head linear, --weights and --synthetic go with --scope head")
    start = None if initial is None else load_backbone(Path(initial))
    recipe = choose_recipe(
        config,
        start,
        steps,
        {
            "batch": batch,
            "seed": seed,
            "alignment": alignment,
            "disentanglement": disentanglement,
            "disentanglement_weight": disentanglement_weight,
            "views": views,
            "scope": scope,
            "precision": precision,
            "held_out": images_to_hold_out(held_out, config, out_folder),
        },
    )
    refuse_unfit(recipe, device)
    plans = plans_for(head, components)
    kept_out = names_kept_out(background, images)
    with process_group(device) as own_device:
        refuse_unfit(recipe, own_device, world_size())
        training = read_training_images(images, recipe.image_side, kept_out)
        trainer = Trainer(recipe, training, out_folder, own_device, initial=start)
        fitted = min(head_images or FITTED, len(training))
        if head != "none":
            check_plans(plans, descriptor=trainer.net.dimension, images=fitted)
        first = rank() == 0
        if first:
            out_folder.mkdir(parents=True, exist_ok=True)
            (out_folder / RECIPE).write_text(recipe.model_dump_json(indent=2) + "\n")
            out.print(
                f"{len(trainer.images)} images to train on, {len(kept_out)} names held out as "
                f"background, {trainer.held_out} images to measure on"
            )
        net = run_trainer(trainer, recipe).to("cpu")
    if not first:
        return  # the others have done their share
    description = Description(
        name=name or out_folder.name,
        data=data_note or f"{len(trainer.images)} images of {', '.join(p.name for p in images)}",
        command=" ".join(["attribution", *sys.argv[1:]]),
    )
    names = frozenset(training.names[:REFERENCE_ROWS])
    fitting = read_training_images(images, ENCODER_SIDE, kept_out)  # scaled as a query is
    sizes = StrataSizes(background_generated, background_laundered)
    with first_process_bar() as bar:
        task = bar.add_task("Fitting the head", total=fitted)
        on_background = background_progress(bar, expected(len(kept_out), sizes))
        encoder = build_encoder(
            out_folder / "encoder",
            net,
            fitting,
            config=recipe,
            description=description,
            plans=plans,
            reference=read_pictures(images, names),
            background=read_pictures(images, kept_out) if kept_out else None,
            background_count=len(kept_out),
            strata=sizes,
            size=ENCODER_SIDE,
            limit=head_images or FITTED,
            on_images=lambda done: bar.update(task, completed=done),
            on_background=on_background,
        )
    folder = out_folder / "encoder"
    parts = ", ".join(f"{part.name} ({part.head}, {part.dimension})" for part in encoder.card.parts)
    out.print(f"{folder}: model_id {encoder.model_id}, parts: {parts}")
    out.print(f"Use it: attribution ingest PHOTOS --encoder {folder}")

"""`attribution train`: an encoder from unlabelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.train.head_only import IMAGES, HeadOnly, train_head_only
from app.cli.train.network import FITTED, NetworkTraining, train_network
from app.cli.train.progress import names_kept_out
from app.cli.train.recipes import (
    HELD_OUT,
    choose_recipe,
    images_to_hold_out,
    network_to_start_from,
    refuse_beside_head,
    refuse_beside_head_kind,
    refuse_own_replacement,
    refuse_without_head_scope,
)
from attribution.synthesis.background import (
    GENERATED_IMAGES,
    LAUNDERED_IMAGES,
    StrataSizes,
)

COMPONENTS = 512
"""Directions kept in each part of a head, by default."""


def train_command(
    images: Annotated[
        list[Path], typer.Argument(help="Folders or tar files of images; no labels are used.")
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", file_okay=False, help="Folder of the run.")
    ],
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
        Path | None,
        typer.Option(help="YAML file of the recipe; see attribution.training.recipe.config."),
    ] = None,
    initial: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="`bundled`, or an encoder's folder, whose weights the run starts from; scratch by "
            "default. With --scope head also a backbone such as `dino-vits16`.",
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
        int | None,
        typer.Option(
            min=8, help=f"Directions kept in each part of a head, {COMPONENTS} by default."
        ),
    ] = None,
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
    seed: Annotated[
        int | None, typer.Option(min=0, help="Everything random follows from it.")
    ] = None,
    alignment: Annotated[
        Literal["simclr", "moco", "dino"] | None,
        typer.Option(
            help="What draws views together: `simclr` contrasts the images of a batch, `moco` with "
            "keys of a momentum teacher and a queue, `dino` predicts a teacher's prototypes.",
        ),
    ] = None,
    disentanglement: Annotated[
        Literal["logdet", "koleo", "ica", "none"] | None,
        typer.Option(
            help="Term that spreads information over all directions; a head of `cca` does so "
            "without.  [default: none]"
        ),
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
    refuse_beside_head_kind(head, components=components, head_images=head_images)
    refuse_own_replacement(initial, out_folder)
    strata = StrataSizes(background_generated, background_laundered)
    learning = {
        "batch": batch,
        "disentanglement": disentanglement,
        "disentanglement_weight": disentanglement_weight,
    }
    network = {"alignment": alignment, "views": views, "precision": precision}
    if scope == "head":
        refuse_beside_head(
            head, linear=learning, config=config, steps=steps, held_out=held_out, **network
        )
        train_head_only(
            HeadOnly(
                images=images,
                out_folder=out_folder,
                kept_out=names_kept_out(background, images),
                strata=strata,
                initial=initial or "bundled",
                weights=weights,
                synthetic=synthetic or [],
                head=head,
                head_images=head_images or IMAGES,
                device=device,
                name=name,
                data_note=data_note,
                options={**learning, "seed": seed, "components": components},
            )
        )
        return
    refuse_without_head_scope(head, weights=weights, synthetic=synthetic)
    start = network_to_start_from(initial)
    held_out = images_to_hold_out(held_out, config, out_folder)
    options = {**learning, **network, "seed": seed, "scope": scope, "held_out": held_out}
    train_network(
        NetworkTraining(
            images=images,
            out_folder=out_folder,
            kept_out=names_kept_out(background, images),
            strata=strata,
            recipe=choose_recipe(config, start, steps, options),
            start=start,
            head=head,
            components=components or COMPONENTS,
            head_images=head_images or FITTED,
            device=device,
            name=name,
            data_note=data_note,
        )
    )

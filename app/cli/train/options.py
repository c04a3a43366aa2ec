"""The options of `attribution train`, in the order of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import path_given, path_or_unset
from app.cli.train.head_only import IMAGES
from app.cli.train.network import FITTED
from app.cli.train.recipes import HELD_OUT

COMPONENTS = 512
"""Directions kept in each part of a head, by default."""

Images = Annotated[
    list[Path],
    typer.Argument(
        parser=path_given,
        metavar="IMAGES",
        help="Folders or tar files of images; no labels are used.",
    ),
]
OutFolder = Annotated[
    Path,
    typer.Option("--out", "-o", parser=path_given, metavar="PATH", help="Folder of the run."),
]
Background = Annotated[
    Path | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="Text file of image names, one a line, that are kept out of training and head "
        "fitting; they become the background that decisions rest on. Give 1,000 or more.",
    ),
]
BackgroundGenerated = Annotated[
    int,
    typer.Option(
        min=0,
        help="So many of the background images also pass through the patch generator, since "
        "queries are not photographs; a second or two of one core each.",
    ),
]
BackgroundLaundered = Annotated[
    int, typer.Option(min=0, help="So many of them are also laundered: cropped, recompressed.")
]
RecipeName = Annotated[
    Literal["paper", "bundled", "head"] | None,
    typer.Option(
        help="A recipe that ships: `paper` in its two stages, that of the `bundled` encoder, or of "
        "a `head` alone (--scope head). Other options change it."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="YAML file of a recipe of one's own; those that ship are in "
        "attribution/training/recipe/shipped.",
    ),
]
Initial = Annotated[
    str | None,
    typer.Option(
        "--from",
        "--encoder",
        help="What the run starts from: `bundled`, an encoder's folder, or a published backbone "
        "such as `dino-vits16`. By default the project's own network from scratch.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        parser=path_or_unset,
        metavar="PATH",
        help="Official weights file of a published backbone, instead of a download.",
    ),
]
Synthetic = Annotated[
    list[Path] | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="--scope head: folder or tar file of unlabelled synthetic images; queries get a "
        "map of their own that gives them the statistics of real ones. Repeatable.",
    ),
]
Head = Annotated[
    Literal["cca", "whiten", "linear", "none"] | None,
    typer.Option(
        help="`cca` keeps the directions that views share, a part each for structure, outline "
        "and appearance; `whiten` levels all directions; `linear` is trained, with --scope "
        "head only; `none` leaves the descriptor as it is.  [default: as the recipe says, or cca]",
    ),
]
Components = Annotated[
    int | None,
    typer.Option(min=8, help=f"Directions kept in each part of a head, {COMPONENTS} by default."),
]
HeadImages = Annotated[
    int | None,
    typer.Option(
        min=100,
        help=f"Fit the head on at most so many images, {FITTED:,} by default, {IMAGES:,} with "
        "--scope head.",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Scale the recipe to about so many steps; for a quick look."),
]
Batch = Annotated[int | None, typer.Option(min=8, help="Images a step.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Everything random follows from it.")]
Alignment = Annotated[
    Literal["simclr", "moco", "dino"] | None,
    typer.Option(
        help="What draws views together: `simclr` contrasts the images of a batch, `moco` with "
        "keys of a momentum teacher and a queue, `dino` predicts a teacher's prototypes.",
    ),
]
Disentanglement = Annotated[
    Literal["logdet", "koleo", "ica", "none"] | None,
    typer.Option(
        help="Term that spreads information over all directions; a head of `cca` does so "
        "without.  [default: none]"
    ),
]
Projector = Annotated[
    Literal["none", "linear", "mlp"] | None,
    typer.Option(
        help="What stands between the embedding and the terms that draw views together; that term "
        "always acts on the embedding.  [default: mlp]"
    ),
]
LocalCrops = Annotated[
    int | None,
    typer.Option(
        min=0, help="--alignment dino: small crops of each image for the student; 6 is usual."
    ),
]
CachedViews = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="--scope last-N: have the frozen blocks' work done once on so many sets of views, "
        "kept on disk during the run; says how many bytes that takes.  [default: 0, views afresh]",
    ),
]
DisentanglementWeight = Annotated[
    float | None, typer.Option(min=0, help="Its weight; 0.1 for `logdet` is a good start.")
]
ProvenanceWeight = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Weight of a term by which the source of a part of a composite is found by that part "
        "alone.  [default: 0]",
    ),
]
ProvenanceMask = Annotated[
    Literal["true", "random", "full"] | None,
    typer.Option(
        help="What it goes by: the `true` mask of a composite, or, to see its worth, a `random` "
        "one or the `full` picture.  [default: true]"
    ),
]
Views = Annotated[
    Literal["plain", "synthesis-aware"] | None,
    typer.Option(help="`plain` leaves out pictures that mix two images, to see their worth."),
]
Scope = Annotated[
    str | None,
    typer.Option(
        help="What learns: `full`, `last-N` blocks of what is given as --from (blocks of a "
        "ViT, stages of a ResNet), or only the `head` on descriptors that are computed once, in "
        "minutes.",
        metavar="full|last-N|head",
    ),
]
Precision = Annotated[
    Literal["float32", "mixed"] | None,
    typer.Option(help="`mixed` computes the network in half precision, on a GPU only."),
]
HeldOut = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Measure what is learnt on so many images that training never sees, at most a "
        f"tenth of all; 0 trains on all. {HELD_OUT} by default.",
    ),
]
Device = Annotated[str, typer.Option(help="cpu or cuda; with torchrun, one GPU a process.")]
Name = Annotated[str | None, typer.Option(help="Name on the card.")]
DataNote = Annotated[str, typer.Option("--data-note", help="Data, in words, for the card.")]

"""The options of `attribution evaluate`, in the order of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import path_given
from attribution.evaluation.benchmark.families import FAMILIES
from attribution.evaluation.benchmark.treatments import CONDITIONS
from attribution.evaluation.ranks.baselines import NAMES

Data = Annotated[
    Path,
    typer.Argument(
        parser=path_given,
        metavar="DATA",
        help="A folder with manifest.jsonl, JSON in the layout of AbC (a file or a folder of "
        "them), or a folder of subjects with several images each.",
    ),
]
Distractors = Annotated[
    Path | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="Images that compete and are no source: a folder of images or of tar files.",
    ),
]
Kind = Annotated[
    Literal["manifest", "abc", "instances"] | None,
    typer.Option("--format", help="Of DATA.  [default: found out]"),
]
Root = Annotated[
    Path | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="Folder that the image paths of AbC are relative to.",
    ),
]
Protocol = Annotated[
    Literal["open", "own-exemplars"],
    typer.Option(
        help="`open`: all sources compete. `own-exemplars`: those of the query's own model "
        "and the distractors, as AbC does."
    ),
]
Condition = Annotated[
    list[str] | None,
    typer.Option(
        help=f"What is done to the queries: {', '.join(CONDITIONS)} or all; or one way of passing "
        f"them on: {', '.join(FAMILIES)} or all families; repeat for several.  [default: clean]"
    ),
]
Encoder = Annotated[
    list[str] | None,
    typer.Option(
        help="`bundled`, a folder made by `attribution train`, or a backbone; repeat for "
        "several.  [default: bundled]"
    ),
]
Baseline = Annotated[
    list[str] | None,
    typer.Option(help=f"One of {', '.join(NAMES)}; repeat for several."),
]
Baselines = Annotated[bool, typer.Option("--baselines", help="All baselines.")]
Mirrored = Annotated[
    bool,
    typer.Option("--mirrored", help="Each encoder once more, with mirrored queries."),
]
PerMethod = Annotated[
    bool, typer.Option("--per-method", help="Also figures for each generator of queries.")
]
Against = Annotated[
    str | None,
    typer.Option(help="Method that the others are compared with.  [default: the first]"),
]
FitImages = Annotated[
    list[Path] | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="Folder or tar file of unlabelled images that whitening and CCA are fitted on; "
        "repeat for several. Keep the gallery out of them.",
    ),
]
Background = Annotated[
    Path | None,
    typer.Option(
        parser=path_given,
        metavar="PATH",
        help="Text file of names that are kept out of fitting.",
    ),
]
HeadImages = Annotated[int, typer.Option(min=100, help="Fit on at most so many images.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Decisions = Annotated[
    bool,
    typer.Option(
        "--decisions",
        help="Measure the service's answers instead of ranks: false attribution, power, "
        "p-values and shares. One encoder, protocol open.",
    ),
]
AnyWayUp = Annotated[
    bool,
    typer.Option("--any-way-up", help="With --decisions: look at each query in all four ways."),
]
Gallery = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        "--data",
        parser=path_given,
        metavar="PATH",
        help="With --decisions: ingest into this folder and use what is there already.  "
        "[default: a temporary one]",
    ),
]
OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        parser=path_given,
        metavar="PATH",
        help="Write JSON and pictures to this folder.",
    ),
]

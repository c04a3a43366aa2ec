"""`attribution demo`: the whole of it on real photographs, with nothing downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import options


def demo_command(
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop after the answers instead of serving on.")
    ] = False,
    folder: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=options.path_given,
            metavar="PATH",
            help="Where photographs, queries and catalog go.",
        ),
    ] = Path("demo"),
    singles: Annotated[int, typer.Option(min=1, max=18, help="Images made from one source.")] = 8,
    pairs: Annotated[int, typer.Option(min=0, max=8, help="Images made from two.")] = 4,
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    seed: Annotated[int, typer.Option(min=0, help="Other images for another seed.")] = 0,
    encoder: options.Encoder = None,
) -> None:
    """See the whole thing work on real photographs, with nothing downloaded.

    Ingests photographs that ship inside scikit-image and scikit-learn, makes synthetic images
    from some of them, starts the service, asks it over HTTP, prints its ranked sources beside the
    truth, and draws a contact sheet. Goes on serving until Ctrl-C. Exits with 1 when an answer is
    wrong.
    """
    from app.cli.demo.showing import show_all  # torch: seconds

    settings = options.settings_from(
        data=folder / "data", encoder=encoder, host="127.0.0.1", port=port
    ).model_copy(update={"database_url": None})  # never the caller's own catalog
    if not show_all(settings, folder, singles=singles, pairs=pairs, seed=seed, leave=leave):
        raise typer.Exit(1)

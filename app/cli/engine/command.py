"""`attribution engine`: what runs the encoder's network, torch or ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import options

engine_group = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Export the encoder's network for ONNX Runtime, and see which engine is faster here.

Needs the extra `onnx`. What is exported lies in the data folder, and `serve` and every other
command choose the faster engine at their start; ATTRIBUTION_ENGINE forces `torch` or `onnx`. Rows
are the same within 1e-4, so nothing has to be embedded again.""",
)


@engine_group.command("build")
def build_command(
    images: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_given,
            metavar="PATH",
            help="Compare the engines on pictures of this folder or tar file, the first 200 by "
            "name, instead of on drawn ones.",
        ),
    ] = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Export the network, compare it with torch, keep it, and measure both.

    Nothing is kept where a row differs from torch's by more than 1e-4. A service takes up what was
    exported at its next start.
    """
    from app.cli.engine.measuring import export, show_engines  # torch: seconds

    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    show_engines(settings, export(settings, images), as_json=as_json)


@engine_group.command("show")
def show_command(
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Measure the engines that there are, and say which one is chosen here."""
    from app.cli.engine.measuring import show_engines  # torch: seconds

    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    show_engines(settings, as_json=as_json)

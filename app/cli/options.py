"""Options that several commands share, and the settings that follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.settings import Settings

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the catalog.  [default: $ATTRIBUTION_DATA or ./var]"),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="`bundled`, a folder made by `attribution train`, or a backbone such as "
        "`dino-vits16`.  [default: $ATTRIBUTION_ENCODER or bundled]",
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", help="Official weights file of a backbone, instead of a download."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines on stdout.")]


def settings_from(
    *,
    data: Path | None = None,
    encoder: str | None = None,
    weights: Path | None = None,
    **others: Any,
) -> Settings:
    """The environment's settings, with what the command line says instead where it says it."""
    given = {"data": data, "encoder": encoder, "encoder_weights": weights, **others}
    return Settings(**{name: value for name, value in given.items() if value is not None})

"""`attribution reembed`: another encoder for the catalog, filled, activated, gone back from."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import options
from app.cli.failures import BadInvocation


def reembed_command(
    encoder: Annotated[
        str | None,
        typer.Argument(
            help="Encoder to fill in: a folder, a backbone's name, or a model_id known."
        ),
    ] = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="Then have every service answer by it.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Go back to the encoder that was active before.")
    ] = False,
    drop: Annotated[
        str | None, typer.Option("--drop", help="Forget this model_id and remove its embeddings.")
    ] = None,
    weights: options.Weights = None,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Previews encoded at a time.")] = 64,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give every source an embedding of another encoder, and change to it while serving.

    Embeddings are made from the previews (at most 512 pixels), no original is needed; interrupted,
    run it again. From then on new sources get an embedding of both encoders. `--activate` works
    at full coverage only; services that run change to it by themselves, and `--back` goes back.
    Both sets of embeddings stay until `--drop`. Without ENCODER it shows how far each has got.

    Exits with 1 when a source has no readable preview.
    """
    if sum((encoder is not None, back, drop is not None)) > 1 or (activate and encoder is None):
        raise BadInvocation(
            "give ENCODER (with --activate or not), --back, --drop, or none of them"
        )
    from app.cli.reembed.changing import change  # torch: seconds

    settings = options.settings_from(data=data)
    all_covered = change(
        settings,
        encoder=encoder,
        weights=weights,
        activate=activate,
        back=back,
        drop=drop,
        batch=batch,
        as_json=as_json,
    )
    if not all_covered:
        raise typer.Exit(1)

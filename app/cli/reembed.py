"""`attribution reembed`: the embeddings of another encoder, from previews."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.console import out, print_json, progress, warn
from app.cli.options import DataOption, EncoderOption, JsonOption, WeightsOption, settings_from
from attribution.catalog import Catalog
from attribution.maintenance import fill_embeddings
from models.loading import load_encoder


def reembed_command(
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    drop: Annotated[
        str | None, typer.Option("--drop", help="Remove the embeddings of this model_id instead.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Previews encoded at a time.")] = 64,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give every source an embedding of another encoder, while the service goes on.

    Made from the previews (at most 512 pixels), no original is needed. Once every source has one,
    restart the service with ATTRIBUTION_ENCODER set to the new encoder; set it back to go back:
    both sets stay until `--drop`. Run it again for what was added meanwhile.

    Exits with 1 when a source has no readable preview.
    """
    settings = settings_from(data=data, encoder=encoder, weights=weights)
    with Catalog.open(settings.data, url=settings.database_url) as catalog:
        if drop is not None:
            _report({"model_id": drop, "dropped": catalog.encoders.drop(drop)}, as_json=as_json)
            return
        loaded = load_encoder(
            settings.encoder, weights=settings.encoder_weights, device=settings.device
        )
        before = catalog.encoders.coverage(loaded.model_id)
        with progress() as bar:
            task = bar.add_task("Embedding", total=before.sources - before.embedded)
            report = fill_embeddings(
                catalog,
                loaded,
                batch_size=batch,
                on_progress=lambda done: bar.advance(task, done),
            )
        after = catalog.encoders.coverage(loaded.model_id)
    _report({**asdict(report), "coverage": f"{after.embedded} of {after.sources}"}, as_json=as_json)
    if report.lacking:
        warn(f"{len(report.lacking)} sources have no readable preview: `attribution verify`")
        raise typer.Exit(1)


def _report(document: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        out.print(f"{name}: {value}")

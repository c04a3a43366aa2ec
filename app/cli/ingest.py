"""`attribution ingest`: a folder or a manifest into the catalog."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.cli.console import out, print_json, progress, warn
from app.cli.options import (
    DataOption,
    EncoderOption,
    JsonOption,
    WeightsOption,
    encoder_settings_from,
)
from app.encoders.gallery import decoding_limits
from app.encoders.load import load_registered
from attribution.catalog import Catalog
from attribution.ingestion import IngestReport, Progress, ingest, read_manifest
from models.loading import load_encoder

SHOWN = 20


def ingest_command(
    path: Annotated[
        Path,
        typer.Argument(help="Folder of images (searched recursively), or a JSON Lines manifest."),
    ],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="For rows that name none.")
    ] = "default",
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Images encoded at a time.")] = 64,
    data: DataOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add images to the catalog as sources.

    A manifest is JSON Lines; each row has `path` (relative to the manifest) and may have `uri`,
    `title`, `creator`, `licence`, `collection` and `metadata`. Files that cannot be read are
    skipped and listed. Run it again at any time: what is there is not added twice, metadata
    follows the manifest, and an interrupted run goes on where it was. A running service finds the
    new sources within a second.

    Exits with 1 when a file was skipped.
    """
    settings = encoder_settings_from(data=data, encoder=encoder, weights=weights)
    rows = read_manifest(path, collection=collection)
    loaded = load_encoder(
        settings.encoder, weights=settings.encoder_weights, device=settings.device
    )
    with Catalog.open(settings.data, url=settings.database_url) as catalog, progress() as bar:
        task = bar.add_task("Ingesting", total=None)

        def show(state: Progress) -> None:
            bar.update(task, completed=state.done, total=state.total)

        report = ingest(
            catalog,
            loaded,
            rows,
            batch_size=batch,
            limits=decoding_limits(settings),
            on_progress=show,
            load=lambda registered: load_registered(settings, registered)[0],
        )
        bar.update(task, total=bar.tasks[0].completed)
    if as_json:
        print_json(asdict(report))
    else:
        _describe(report)
    if report.skipped:
        raise typer.Exit(1)


def _describe(report: IngestReport) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("added", "unchanged", "updated"):
        table.add_row(name, str(getattr(report, name)))
    table.add_row("skipped", str(len(report.skipped)))
    table.add_row("generation", str(report.generation))
    out.print(table)
    for skipped in report.skipped[:SHOWN]:
        warn(f"skipped {skipped.path}: {skipped.reason}")
    if len(report.skipped) > SHOWN:
        warn(f"and {len(report.skipped) - SHOWN} more; --json lists them all")

"""`attribution ingest`: a folder or a manifest into the catalog."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli import options
from app.cli.console import facts, progress, show, warn
from app.encoders.load import load_registered
from app.inference.upload import decoding_limits
from attribution.catalog import Catalog
from attribution.ingestion import IngestReport, ingest, read_manifest
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
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Add images to the catalog as sources.

    A manifest is JSON Lines; each row has `path` (relative to the manifest) and may have `uri`,
    `title`, `creator`, `licence`, `collection` and `metadata`. Files that cannot be read are
    skipped and listed. Run it again at any time: what is there is not added twice, metadata
    follows the manifest, and an interrupted run goes on where it was. A running service finds the
    new sources within a second.

    Exits with 1 when a file was skipped.
    """
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    rows = read_manifest(path, collection=collection)
    loaded = load_encoder(
        settings.encoder, weights=settings.encoder_weights, device=settings.device
    )
    with Catalog.open(settings.data, url=settings.database_url) as catalog, progress() as bar:
        task = bar.add_task("Ingesting", total=None)
        report = ingest(
            catalog,
            loaded,
            rows,
            batch_size=batch,
            limits=decoding_limits(settings),
            on_progress=lambda now: bar.update(task, completed=now.done, total=now.total),
            load=lambda registered: load_registered(settings, registered).encoder,
        )
        bar.update(task, total=bar.tasks[0].completed)
    named = asdict(report)
    show(named, facts(named | {"skipped": len(report.skipped)}), as_json=as_json)
    if not as_json:
        _warn_of_skipped(report)
    if report.skipped:
        raise typer.Exit(1)


def _warn_of_skipped(report: IngestReport) -> None:
    for skipped in report.skipped[:SHOWN]:
        warn(f"skipped {skipped.path}: {skipped.reason}")
    if len(report.skipped) > SHOWN:
        warn(f"and {len(report.skipped) - SHOWN} more; --json lists them all")

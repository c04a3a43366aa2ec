"""`attribution restore`: a data folder from a backup."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli import options
from app.cli.console import show, warn
from app.cli.failures import BadInvocation


def restore_command(
    backup: Annotated[
        Path,
        typer.Argument(
            parser=options.path_given,
            metavar="BACKUP",
            help="Folder that `attribution backup` has made.",
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the catalog that the data folder holds.")
    ] = False,
    forget_takedowns: Annotated[
        bool,
        typer.Option(
            "--forget-takedowns",
            help="Go on where the catalog to be replaced is too damaged to say what was taken "
            "down.",
        ),
    ] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Bring a backup back into an empty data folder, or over what is there.

    What was taken down in the folder stays down. Stop the service first. Interrupted, it leaves
    the old catalog or the new one; run it again.

    Exits with 1 when a preview is missing from the backup; its source is restored all the same.
    """
    from attribution.maintenance import restore  # SQLAlchemy: quick --help

    settings = options.settings_from(data=data)
    if settings.database_url is not None:
        raise BadInvocation(_elsewhere(settings.database_url, settings.data))
    report = restore(
        backup,
        settings.data,
        snapshots=settings.snapshots,
        force=force,
        forget_takedowns=forget_takedowns,
    )
    words = f"{report.sources} sources at generation {report.generation}"
    show(asdict(report), words, as_json=as_json)
    if report.taken_down:
        warn(f"{len(report.taken_down)} sources of the backup were taken down here and stay down")
    if report.without_preview:
        warn(f"{len(report.without_preview)} sources came without their preview")
        raise typer.Exit(1)


def _elsewhere(url: str, folder: Path) -> str:
    from attribution.catalog.copying import how_to_restore  # SQLAlchemy: quick --help

    how = how_to_restore(url, folder) or "restore that database with its own tools"
    return f"ATTRIBUTION_DATABASE_URL is set, and that database is no file of {folder}: {how}"

"""`attribution backup`: a copy of the data folder, made while it serves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli import options
from app.cli.console import show, warn


def backup_command(
    destination: Annotated[
        Path,
        typer.Argument(
            parser=options.path_given,
            metavar="DESTINATION",
            help="Folder to make; it must not exist.",
        ),
    ],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Write a backup of one moment of the data folder, while others read and write.

    Catalog and previews, with the digests of API keys and the tombstones, and what was added to
    the background; no encoder, no index and no file that a job waits to work on. Once it has its
    name it is whole and on the disk. A catalog in PostgreSQL is copied by pg_dump: it says how.

    Exits with 1 when a preview could not be copied; its source is in the backup all the same.
    """
    from attribution.catalog import Catalog  # SQLAlchemy: quick --help
    from attribution.maintenance import back_up

    settings = options.settings_from(data=data)
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        catalog.copies.require(settings.data)
        report = back_up(catalog, settings.data, destination)
    held = f"{report.sources} sources at generation {report.generation}"
    words = f"{held}, {report.size / 1e6:.1f} MB in {report.path}"
    show(asdict(report), words, as_json=as_json)
    if report.damaged:
        warn(
            f"{len(report.damaged)} sources have a missing or damaged preview, which is not in the "
            "backup: `attribution verify` names them"
        )
        raise typer.Exit(1)

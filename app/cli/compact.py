"""`attribution compact`: leave no byte of what was deleted on the disk."""

from __future__ import annotations

from dataclasses import asdict

import typer

from app.cli import options
from app.cli.console import show, warn
from app.cli.wording import STILL_THERE, tell_wait


def compact_command(data: options.Data = None, as_json: options.Json = False) -> None:
    """Erase what was deleted from database, log, previews and index snapshots.

    Rewrites the database, which needs room for a second one and keeps writers waiting meanwhile.
    Works beside a running service. Takedowns do this by themselves.

    Exits with 1 when something could not be removed from the disk, or a running service has not
    written a new index snapshot within a minute.
    """
    from attribution.catalog import Catalog  # SQLAlchemy: quick --help
    from attribution.maintenance import erase

    settings = options.settings_from(data=data)
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        erased = erase(
            catalog,
            settings.data,
            settings.snapshots,
            index_url=settings.index_url,
            waiting=tell_wait,
        )
    show(asdict(erased), f"compacted up to generation {erased.generation}", as_json=as_json)
    if erased.remaining:
        warn(f"NOT DONE: {'; '.join(erased.remaining)}. {STILL_THERE}")
        raise typer.Exit(1)
    if not erased.index_clean:
        warn("The running service has not written a new index snapshot yet; run this again.")
        raise typer.Exit(1)

"""`attribution serve`: the HTTP service."""

from __future__ import annotations

from typing import Annotated

import typer

from app.access.first_key import guard
from app.cli import options
from app.cli.options import settings_from
from app.encoders.gallery import vision_of
from app.factory import create_app
from app.server import run
from app.telemetry.logs import configure
from attribution.catalog import Catalog
from attribution.maintenance import folder_lock


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
) -> None:
    """Serve the HTTP API and the web page.

    Everything else is set by ATTRIBUTION_* variables, listed in docs/settings.md. Without API
    keys (`attribution keys`) the service listens on loopback and answers only this machine.
    Ctrl-C finishes what was accepted, then stops.
    """
    settings = settings_from(data=data, encoder=encoder, weights=weights, host=host, port=port)
    configure(settings.log_format, settings.log_level)
    # The service sees to both itself; here a refusal is one line and not a traceback.
    with (
        folder_lock(settings.data, "a service"),
        Catalog.open(settings.data, url=settings.database_url) as catalog,
    ):
        guard(settings, catalog)
        vision = vision_of(settings, catalog, None)
    run(create_app(settings, encoder=vision.encoder, background=vision.background), settings)

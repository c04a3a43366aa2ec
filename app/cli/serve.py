"""`attribution serve`: the HTTP service."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from app.cli import options
from app.cli.browser import open_once_ready
from app.settings import Role


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    role: Annotated[
        Role | None,
        typer.Option(help="What this process does, of several on one catalog and one Milvus."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    opens: Annotated[
        bool,
        typer.Option("--open", help="Open the page in a browser once the service is ready."),
    ] = False,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
) -> None:
    """Serve the HTTP API and the web page.

    Everything else is set by ATTRIBUTION_* variables or attribution.toml in the data folder; both
    are described in docs/settings.md. Without API
    keys (`attribution keys`) the service listens on loopback and answers only this machine.
    Ctrl-C finishes what was accepted, then stops.
    """
    gc.disable()  # until it listens: what is imported and opened stays
    from app.factory import open_app  # torch: seconds
    from app.server import run
    from app.telemetry.logs import configure

    settings = options.settings_from(
        data=data, encoder=encoder, weights=weights, host=host, port=port, role=role
    )
    configure(settings.log_format, settings.log_level)
    with open_app(settings) as app:
        service = app.state.service

        def listening(url: str) -> None:
            service.listens_at(url)
            if opens:
                open_once_ready(url)

        run(app, settings, listening)

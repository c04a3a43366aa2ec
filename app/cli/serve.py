"""`attribution serve`: the HTTP service."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from app.cli.console import warn
from app.cli.options import DataOption, EncoderOption, WeightsOption, settings_from
from app.factory import create_app


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    data: DataOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
) -> None:
    """Serve the HTTP API and the web page.

    Everything else is set by ATTRIBUTION_* variables, listed in docs/settings.md. Without API
    keys the service listens on loopback and answers only this machine. Ctrl-C finishes what was
    accepted, then stops.
    """
    settings = settings_from(data=data, encoder=encoder, weights=weights, host=host, port=port)
    if not settings.local_only:
        warn(
            f"Listening on {settings.host}: anyone who reaches this address can read and change "
            "the catalog. Put an authenticating proxy in front."
        )
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        server_header=False,
        timeout_graceful_shutdown=30,
    )

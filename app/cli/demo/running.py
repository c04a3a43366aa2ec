"""Runs the service inside a command, beside it, until the command is done with it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from app.factory import open_app
from app.server import run_beside
from app.settings import Settings
from attribution.opening.load import Vision

READY_SECONDS = 120.0


class ServiceNotReady(RuntimeError):
    """The service took too long to be ready."""


@contextmanager
def running(settings: Settings, vision: Vision) -> Iterator[str]:
    """Serve, and yield the address once it is ready; a busy port is replaced by a free one."""
    with (
        _listen(settings.host, settings.port) as listener,
        open_app(settings, vision) as app,
        run_beside(app, settings, listener, log_level="warning"),
    ):
        address = f"http://{settings.host}:{listener.getsockname()[1]}"
        _wait(address)
        yield address


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.bind((host, 0))
    return listener


def _wait(address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client(base_url=address, timeout=5, trust_env=False) as client:
        while not client.get("/readyz").is_success:
            if time.monotonic() > deadline:
                raise ServiceNotReady(f"the service at {address} did not become ready")
            time.sleep(0.05)

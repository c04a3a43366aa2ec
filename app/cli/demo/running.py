"""Runs the service inside a command, on a thread, until the command is done with it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

READY_SECONDS = 120.0


class ServiceDidNotStart(RuntimeError):
    """The service stopped before it was ready, or took too long."""


@contextmanager
def running(app: FastAPI, *, host: str, port: int) -> Iterator[str]:
    """Serve `app` and yield its address once it is ready; a busy port is replaced by a free one."""
    listener = _listen(host, port)
    config = uvicorn.Config(app, log_level="warning", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="service", daemon=True)
    thread.start()
    address = f"http://{host}:{listener.getsockname()[1]}"
    try:
        _wait(address, thread)
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.bind((host, 0))
    return listener


def _wait(address: str, thread: threading.Thread) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and thread.is_alive():
        try:
            if httpx.get(f"{address}/readyz", timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise ServiceDidNotStart(f"the service at {address} did not become ready")

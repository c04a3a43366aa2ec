"""A real service on a real port of this process, and a client for it."""

import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from app.factory import open_app
from app.server import run_beside
from app.service.service import Service
from app.settings import Settings
from attribution.opening.load import Vision
from models.background import Background
from models.encoder import Encoder
from tests.support.clients import client as new_client
from tests.support.pictures import jpeg, picture
from tests.support.waiting import PATIENCE


@dataclass
class Running:
    """A served application and a client for it."""

    client: httpx.Client
    service: Service
    url: str
    connections: Collection[object]
    """What the server holds open now."""

    def add(self, seed: int, **parameters: str) -> dict:
        response = self.client.post(
            "/v1/sources", params=parameters, files={"file": (f"{seed}.jpg", jpeg(picture(seed)))}
        )
        assert response.status_code in (200, 201), response.text
        return response.json()

    def ask(self, data: bytes, **parameters) -> dict:
        response = self.client.post("/v1/attributions", params=parameters, files={"file": data})
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def serving(
    settings: Settings, encoder: Encoder | None, background: Background | None = None
) -> Iterator[Running]:
    """Serve on a free loopback port until the block ends."""
    vision = None if encoder is None else Vision(encoder, background)
    with socket.socket() as listener, open_app(settings, vision) as app:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            run_beside(app, settings, listener, log_level="warning") as server,
            new_client(url, timeout=PATIENCE / 2) as client,
        ):
            while client.get("/readyz").status_code != 200:
                time.sleep(0.01)
            yield Running(client, app.state.service, url, server.server_state.connections)

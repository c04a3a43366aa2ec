"""Processes killed while the encoder changes: a start always answers by the one that is active."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from attribution.catalog import Catalog, RegisteredEncoder
from attribution.maintenance import fill_embeddings
from models import load_encoder
from tests.support.clients import client
from tests.support.encoders import make_encoder
from tests.support.forks import command
from tests.support.pictures import jpeg, picture, variation

PATIENCE = 300.0


class Service:
    """`attribution serve` in a process of its own, with the encoder `old` in its settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            "ATTRIBUTION_DATA": str(folder / "data"),
            "ATTRIBUTION_ENCODER": str(folder / "old"),
            "ATTRIBUTION_FOLLOW_SECONDS": "0.05",
            "ATTRIBUTION_LOG_LEVEL": "error",
        }
        self.client = client(f"http://127.0.0.1:{self.port}", timeout=120)
        self.start()

    def start(self) -> None:
        self.process = command("serve", "--port", self.port, **self.environment)
        self.until(lambda: self.client.get("/readyz").status_code == 200)

    def until(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if condition():
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, "the service has ended"
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    def until_it_serves(self, model_id: str) -> None:
        self.until(lambda: self.index()["model_id"] == model_id)

    def index(self) -> dict[str, object]:
        response = self.client.get("/v1/index")
        assert response.status_code == 200, response.text
        return response.json()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def check(self, model_id: str, seeds: range) -> None:
        """Every source is found, by this encoder."""
        for seed in seeds:
            response = self.client.post("/v1/attributions", files={"file": variation(seed)})
            assert response.status_code == 200, response.text
            answer = response.json()
            assert answer["model_id"] == model_id
            assert answer["sources"][0]["uri"] == f"{seed}.jpg"


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    for number, name in enumerate(("old", "new"), start=1):
        make_encoder(tmp_path / name, number)
    started = Service(tmp_path)
    yield started
    if started.process.poll() is None:
        started.kill()
    started.client.close()


def test_killed_in_the_middle_of_a_change_it_starts_with_the_active_encoder(service, tmp_path):
    for seed in range(6):
        file = (f"{seed}.jpg", jpeg(picture(seed)))
        assert service.client.post("/v1/sources", files={"file": file}).status_code == 201
    old, new = (load_encoder(str(tmp_path / name)) for name in ("old", "new"))
    with Catalog.open(tmp_path / "data") as catalog:
        for name, encoder in (("old", old), ("new", new)):
            registered = RegisteredEncoder(encoder.model_id, str(tmp_path / name), None)
            catalog.encoders.register(registered)
            catalog.encoders.activate(old.model_id)
        fill_embeddings(catalog, new)
        old, new = old.model_id, new.model_id
        assert catalog.encoders.coverage(new).full
        catalog.encoders.activate(new)
        service.kill()  # somewhere between having read the row and serving by it
        service.start()
        service.check(new, range(6))
        catalog.encoders.activate(old)
        service.until_it_serves(old)
        service.check(old, range(6))

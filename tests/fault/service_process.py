"""A real service in a process of its own, to be killed and started again on the same folder."""

import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from app.factory import open_app
from app.server import server_config
from app.settings import Settings
from attribution.opening.load import Vision
from tests.support.clients import client
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder
from tests.support.forks import Fork, write_to

ROOT = Path(__file__).parents[2]
_SECONDS = 120.0


class Paced(ThumbnailBackbone):
    """Takes so many seconds an image, without work for the processor."""

    pause = 0.0

    def forward(self, images):
        time.sleep(self.pause * len(images))
        return super().forward(images)


def serve(folder, pause, settings):
    """The whole service, with the encoder of thumbnails in place of the bundled one."""
    backbone = Paced()
    encoder = thumbnail_encoder(backbone)
    backbone.pause = pause
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        print(listener.getsockname()[1], flush=True)
        # What the service logs of being killed and of full disks is no news in these tests.
        write_to(folder.parent / "service.log")
        options = Settings(data=folder, inference_threads=1, **settings)
        with open_app(options, Vision(encoder, None)) as app:
            uvicorn.Server(server_config(app, options, log_level="error")).run([listener])


class ServiceProcess:
    """A service on a folder.

    Args:
        folder: the data folder.
        token: sent as the key with every request; None for none.
        pause: seconds that the encoder takes an image.
        settings: those of the service, but for the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str | None = None,
        pause: float = 0.0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.token = token
        self._pause = pause
        self._settings = dict(settings or {})
        self.start()

    def start(self) -> None:
        """Start; requests wait until it serves."""
        self.process = Fork(serve, self.folder, self._pause, self._settings)
        self.port = int(self.process.stdout.readline())
        self.client = self.new_client()

    def new_client(self, **options: Any) -> httpx.Client:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        options = {"timeout": _SECONDS, "headers": headers} | options
        return client(f"http://127.0.0.1:{self.port}", **options)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, "it is not ready"
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is finished, nothing is said."""
        self.client.close()
        end(self.process)

    def stop(self) -> None:
        """As a supervisor does; returns when it has ended."""
        self.client.close()
        end(self.process, signal.SIGTERM)

    def close(self) -> None:
        if self.alive:
            self.kill()


@contextmanager
def services(data: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """``start(pause=0.01, settings={...})``: a service on a folder, `data` if none is given.

    They end with the block.
    """
    started: list[ServiceProcess] = []

    def start(folder: Path = data, **order: Any) -> ServiceProcess:
        folder.parent.mkdir(parents=True, exist_ok=True)
        started.append(ServiceProcess(folder, **order))
        return started[-1]

    yield start
    for service in started:
        service.close()


def end(process: Fork, number: int = signal.SIGKILL) -> None:
    """Send a signal that ends a process, and wait until it is gone."""
    process.send_signal(number)
    assert process.wait(_SECONDS) is not None, "it did not end"
    process.close()

"""Services as processes of their own, which may be stopped, or end themselves."""

import signal
import time
from pathlib import Path

import app.factory
import app.server
from app.settings import Settings
from app.telemetry.logs import configure
from attribution.opening.load import Vision
from tests.support.clients import client, get
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder
from tests.support.forks import Fork, write_to


class Obedient(ThumbnailBackbone):
    """Takes `pause` seconds an image, and waits while a file `hold` is in `folder`."""

    pause = 0.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def forward(self, images):
        time.sleep(self.pause * len(images))
        while (self.folder / "hold").exists():
            time.sleep(0.01)
        return super().forward(images)


def serve(folder: Path, log: Path, pause: float) -> None:
    write_to(log)
    backbone = Obedient(folder)
    encoder = thumbnail_encoder(backbone)
    backbone.pause = pause
    settings = Settings(port=0, data=folder / "data", inference_threads=1)
    configure("text", "info")
    with app.factory.open_app(settings, Vision(encoder, None)) as opened:
        app.server.run(opened, settings, opened.state.service.listens_at)


class ServiceProcess:
    """`attribution serve` with an encoder that obeys: see `hold` and `release`."""

    def __init__(self, folder: Path, *, pause: float = 0.0, **environment: str) -> None:
        self._hold = folder / "hold"
        self._log = folder / f"log-{time.monotonic_ns()}.txt"
        self._log.touch()
        self.process = Fork(serve, folder, self._log, pause, **environment)
        try:
            self.url = self._address()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.client = client(self.url, timeout=120)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def hold(self) -> None:
        """Keep forward passes waiting."""
        self._hold.touch()

    def release(self) -> None:
        """Let them go."""
        self._hold.unlink(missing_ok=True)

    def stop(self) -> None:
        """What a supervisor sends first."""
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Leave no process behind."""
        self.client.close()
        self._hold.unlink(missing_ok=True)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.close()

    def _address(self, seconds: float = 400.0) -> str:
        deadline = time.monotonic() + seconds
        while "running on http://" not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, "it did not start in time"
            time.sleep(0.05)
        address = self.log.partition("running on ")[2].split()[0]
        while get(f"{address}/readyz", timeout=60).status_code != 200:
            assert time.monotonic() < deadline, "it was not ready in time"
            time.sleep(0.05)
        return address

"""Services as processes of their own, which may be stopped, or end themselves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

import app

ROOT = Path(app.__file__).parents[1]

# The encoder obeys files in the folder: `hold` keeps its passes waiting, `hang` for good.
SERVICE = """
import sys, time
from pathlib import Path
import app.factory, app.server
from app.encoders.load import Vision
from app.telemetry.logs import configure
from app.settings import Settings
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder

folder = Path(sys.argv[1])

class Obedient(ThumbnailBackbone):
    pause = 0.0
    def forward(self, images):
        time.sleep(self.pause * len(images))
        while (folder / "hold").exists():
            time.sleep(0.01)
        return super().forward(images)

backbone = Obedient()
encoder = thumbnail_encoder(backbone)
backbone.pause = float(sys.argv[2])
settings = Settings(port=0, data=folder / "data", inference_threads=1)
configure("text", "info")
with app.factory.open_app(settings, Vision(encoder, None)) as opened:
    app.server.run(opened, settings)
"""


class ServiceProcess:
    """`attribution serve` with an encoder that obeys: see `hold` and `release`."""

    def __init__(self, folder: Path, *, pause: float = 0.0, **environment: str) -> None:
        self._hold = folder / "hold"
        self._log = folder / f"log-{time.monotonic_ns()}.txt"
        inherited = {name: value for name, value in os.environ.items() if "ATTRIBUTION" not in name}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVICE, str(folder), str(pause)],
                cwd=ROOT,
                env=inherited | {"OMP_NUM_THREADS": "1"} | environment,
                stdout=log,
                stderr=log,
            )
        try:
            self.url = self._address()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=120)

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

    def _address(self, seconds: float = 400.0) -> str:
        deadline = time.monotonic() + seconds
        while "running on http://" not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, "it did not start in time"
            time.sleep(0.05)
        address = self.log.partition("running on ")[2].split()[0]
        while httpx.get(f"{address}/readyz", trust_env=False, timeout=60).status_code != 200:
            assert time.monotonic() < deadline, "it was not ready in time"
            time.sleep(0.05)
        return address

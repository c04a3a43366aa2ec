"""A service killed in the middle of a job goes on where it was: no image twice, none lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import app
from tests.app.conftest import jpeg, picture

ROOT = Path(app.__file__).parents[1]
IMAGES = 300
KILLS_AT = (40, 120, 200)

# Imports once, then serves in a fork for every line that it reads: importing costs seconds.
SERVICES = """
import os, signal, socket, sys, time
import uvicorn
from app.factory import create_app
from app.settings import Settings
from tests.app.conftest import ThumbnailBackbone, thumbnail_encoder

class Slow(ThumbnailBackbone):
    pause = 0.0
    def forward(self, images):
        time.sleep(self.pause * len(images))
        return super().forward(images)

def serve(folder):
    backbone = Slow()
    encoder = thumbnail_encoder(backbone)
    backbone.pause = 0.005
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        print(os.getpid(), listener.getsockname()[1], flush=True)
        settings = Settings(data=folder, inference_threads=1)
        config = uvicorn.Config(create_app(settings, encoder=encoder), log_level="error")
        uvicorn.Server(config).run([listener])

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        serve(line.strip())
        os._exit(0)
"""


class Service:
    """A service that can be killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICES],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start()

    def start(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{self.folder}\n")
        self.process.stdin.flush()
        pid, port = self.process.stdout.readline().split()
        self.pid = int(pid)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60)

    def kill(self) -> None:
        self.client.close()
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{self.pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def close(self) -> None:
        if Path(f"/proc/{self.pid}").exists():
            self.kill()
        self.process.communicate()

    def results(self, location: str, after: int = 0) -> list[dict]:
        response = self.client.get(f"{location}/results", params={"after": after})
        return [json.loads(line) for line in response.text.splitlines()]


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    started = Service(tmp_path)
    yield started
    started.close()


def test_killed_three_times_a_job_has_every_result_once(service, tmp_path):
    for seed in range(3):
        added = service.client.post("/v1/sources", files={"file": jpeg(picture(seed))})
        assert added.status_code == 201, added.text
    tiny = [jpeg(picture(seed, size=(16, 12))) for seed in range(IMAGES)]
    files = [("files", (f"{at}.jpg", data)) for at, data in enumerate(tiny)]
    response = service.client.post("/v1/jobs", files=files)
    assert response.status_code == 202, response.text
    location = response.headers["location"]
    seen: list[dict] = []
    for enough in KILLS_AT:
        while len(seen) < enough:
            seen += service.results(location, after=len(seen))
            time.sleep(0.005)
        assert len(seen) < IMAGES, "the kill must fall in the middle"
        service.kill()
        service.start()
    assert service.results(location)[: len(seen)] == seen, "what was read before still holds"
    while service.client.get(location).json()["state"] != "finished":
        time.sleep(0.02)
    results = service.results(location)
    assert [result["sequence"] for result in results] == list(range(1, IMAGES + 1))
    assert sorted(result["index"] for result in results) == list(range(IMAGES))
    for result in results:
        assert result["filename"] == f"{result['index']}.jpg"
        assert len(result["attribution"]["sources"]) == 3, result
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [".lock"]

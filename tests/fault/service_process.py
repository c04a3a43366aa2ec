"""A real service in a process of its own, to be killed and started again on the same folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

ROOT = Path(__file__).parents[2]
_SECONDS = 120.0


class Forks:
    """The process that services are forked from; start it once, it takes seconds."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith("ATTRIBUTION_")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.service_forks"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=inherited | {"OMP_NUM_THREADS": "1"} | (environment or {}),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the service cannot be imported"

    def fork(self, **order: Any) -> tuple[int, int]:
        """The process id and the port of a new service."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid, port = self._process.stdout.readline().split()
        return int(pid), int(port)

    def close(self) -> None:
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ServiceProcess:
    """A service on a folder.

    Args:
        forks: where services come from.
        folder: the data folder.
        token: sent as the key with every request; None for none.
        order: further fields of the order, such as `pause` and `settings`.
    """

    def __init__(
        self, forks: Forks, folder: Path, *, token: str | None = None, **order: Any
    ) -> None:
        self._forks = forks
        self.folder = folder
        self.token = token
        self._order = order
        self.pid = 0
        self.start()

    def start(self) -> None:
        """Start; requests wait until it serves."""
        self.pid, self.port = self._forks.fork(do="serve", folder=str(self.folder), **self._order)
        self.client = self.new_client()

    def new_client(self, **options: Any) -> httpx.Client:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        options = {"timeout": _SECONDS, "headers": headers} | options
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, **options)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, "it is not ready"
            time.sleep(0.02)

    @property
    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is finished, nothing is said."""
        self.client.close()
        end(self.pid)

    def stop(self) -> None:
        """As a supervisor does; returns when it has ended."""
        self.client.close()
        end(self.pid, signal.SIGTERM)

    def close(self) -> None:
        if self.alive:
            self.kill()


@contextmanager
def services(forks: Forks, data: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """``start(pause=0.01, settings={...})``: a service on a folder, `data` if none is given.

    They end with the block.
    """
    started: list[ServiceProcess] = []

    def start(folder: Path = data, **order: Any) -> ServiceProcess:
        folder.parent.mkdir(parents=True, exist_ok=True)
        started.append(ServiceProcess(forks, folder, **order))
        return started[-1]

    yield start
    for service in started:
        service.close()


def end(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal that ends a process, and wait until it is gone."""
    os.kill(pid, number)
    deadline = time.monotonic() + _SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.003)

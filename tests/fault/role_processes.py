"""`attribution serve --role ...` as processes side by side, killed and started again one by one."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.support import milvus
from tests.support.clients import client as new_client
from tests.support.forks import Fork, write_to
from tests.support.waiting import wait_for

HOST = "127.0.0.1"
_SECONDS = 180.0
_LOOK_SECONDS = 10.0
"""For an answer on how a process is: one that gives none is looked at again, and told."""


class Process(Protocol):
    """What `subprocess.Popen` and `Fork` have in common, as far as it is needed here."""

    pid: int

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int | None: ...


Start = Callable[[list[str], Mapping[str, str], Path], Process]
"""Starts `attribution ARGUMENTS` with variables besides, both of its outputs going to a file."""


def forked(arguments: list[str], variables: Mapping[str, str], log: Path) -> Fork:
    """The command in a process that has its modules imported already."""
    return Fork(_command, arguments, log, **variables)


def _command(arguments: list[str], log: Path) -> None:
    from app.cli.main import main  # noqa: PLC0415 (this module is imported without torch)

    write_to(log)
    sys.argv = ["attribution", *arguments]
    main()


class RoleProcess:
    """One process of a fleet, at an address that stays the same from start to start."""

    def __init__(self, role: str, start: Start, variables: Mapping[str, str], log: Path) -> None:
        self.role, self.log = role, log
        self.port = _free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._start, self._variables = start, variables
        self.client = new_client(self.url, timeout=_SECONDS)
        self.start()

    def start(self) -> None:
        """Start it; `ready` says when it serves."""
        arguments = ["serve", "--role", self.role, "--host", HOST, "--port", str(self.port)]
        self.process = self._start(arguments, self._variables, self.log)

    def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is finished, nothing is given back."""
        self.process.kill()
        self.process.wait(_SECONDS)

    @property
    def told(self) -> str:
        """What it wrote last, and how it is by its own account."""
        lines = self.log.read_text().splitlines()[-40:]
        metrics = self._get("/metrics")
        said = "no answer" if metrics is None else f"{metrics.status_code}, {metrics.text[-2000:]}"
        return "\n".join([f"-- {self.role} at {self.url}: {said}", *lines])

    def ready(self) -> bool:
        """Whether it answers, well or degraded."""
        assert self.process.poll() is None, f"the {self.role} ended: {self.log.read_text()[-3000:]}"
        response = self._get("/readyz")
        return response is not None and response.status_code == 200

    def metric(self, name: str) -> float | None:
        """A sample of `/metrics`, by name and labels; None where nobody answers."""
        response = self._get("/metrics")
        lines = [] if response is None else response.text.splitlines()
        return next((float(x.rpartition(" ")[2]) for x in lines if x.startswith(f"{name} ")), None)

    @property
    def writes(self) -> bool:
        """Whether it is the one that writes the index."""
        return self.metric("attribution_index_writer") == 1

    def close(self) -> None:
        """Leave no process behind."""
        self.client.close()
        self.kill()

    def _get(self, path: str) -> httpx.Response | None:
        try:
            return self.client.get(path, timeout=_LOOK_SECONDS)
        except httpx.TransportError:
            return None


class Fleet:
    """Api, workers and two indexers, of which one waits, on one catalog and one Milvus.

    Args:
        folder: for the shared data folder and the logs.
        settings: of all, among them the addresses of catalog and Milvus.
        start: how a process begins.
        replicas: how many api there are, and how many workers.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        start: Start = forked,
        replicas: int = 2,
    ) -> None:
        self.folder, self._start, self._replicas = folder, start, replicas
        self._settings = {"data": folder / "data", "inference_threads": 1, **settings}
        (folder / "data").mkdir(parents=True, exist_ok=True)
        self._every: list[RoleProcess] = []
        self.indexers: list[RoleProcess] = []
        self.apis: list[RoleProcess] = []
        self.workers: list[RoleProcess] = []

    def begin_all(self) -> None:
        """Start them, and return once each answers."""
        for role, kept, count in (
            ("indexer", self.indexers, 2),
            ("api", self.apis, self._replicas),
            ("worker", self.workers, self._replicas),
        ):
            kept.extend(self.begin(role) for _ in range(count))
        self.wait_until_ready()

    @property
    def answering(self) -> list[RoleProcess]:
        """Those that keep no index: any of them may be written to and asked."""
        return [*self.apis, *self.workers]

    def begin(self, role: str, *, without: tuple[str, ...] = ()) -> RoleProcess:
        """Start one more process, `without` some of the settings."""
        log = self.folder / f"{role}-{len(self._every)}.log"
        log.touch()
        known = {name: value for name, value in self._settings.items() if name not in without}
        variables = {f"ATTRIBUTION_{name.upper()}": str(value) for name, value in known.items()}
        self._every.append(RoleProcess(role, self._start, variables, log))
        return self._every[-1]

    def wait_until_ready(self) -> None:
        """Return once each of them answers."""
        for process in self._every:
            wait_for(process.ready, _SECONDS)

    def leader(self) -> RoleProcess:
        """The indexer that writes."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            for process in self.indexers:
                if process.writes:
                    return process
            time.sleep(0.02)
        told = [each.told for each in self.indexers]
        raise AssertionError("\n".join(["no indexer writes", *told, milvus.at_work()]))

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._every:
            process.close()


@contextmanager
def fleet(
    folder: Path, settings: Mapping[str, Any], *, start: Start = forked, replicas: int = 2
) -> Iterator[Fleet]:
    """A fleet that answers, and ends with the block."""
    started = Fleet(folder, settings, start=start, replicas=replicas)
    try:
        started.begin_all()
        yield started
    finally:
        started.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])

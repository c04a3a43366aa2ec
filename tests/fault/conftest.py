"""Faults done on purpose: processes killed, disks filled, files damaged, clients that misbehave."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fault.service_process import Forks, ServiceProcess


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as process:
        yield process


@pytest.fixture
def start(forks, tmp_path) -> Iterator[Callable[..., ServiceProcess]]:
    """``start(pause=0.01, settings={...})``: a service on an empty folder, ended with the test."""
    services: list[ServiceProcess] = []

    def started(folder: Path = tmp_path / "data", **order: Any) -> ServiceProcess:
        folder.parent.mkdir(parents=True, exist_ok=True)
        services.append(ServiceProcess(forks, folder, **order))
        return services[-1]

    yield started
    for service in services:
        service.close()

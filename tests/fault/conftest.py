"""Faults done on purpose: processes killed, disks filled, files damaged, clients that misbehave."""

from collections.abc import Callable, Iterator

import pytest

from tests.fault.service_process import Forks, ServiceProcess, services


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as process:
        yield process


@pytest.fixture
def start(forks, tmp_path) -> Iterator[Callable[..., ServiceProcess]]:
    with services(forks, tmp_path / "data") as started:
        yield started

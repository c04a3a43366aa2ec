"""Faults done on purpose: processes killed, disks filled, files damaged, clients that misbehave."""

from collections.abc import Callable, Iterator

import pytest

from tests.fault.service_process import ServiceProcess, services


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., ServiceProcess]]:
    with services(tmp_path / "data") as started:
        yield started

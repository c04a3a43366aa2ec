"""How long and how hard: the options of ``make soak``, and the figures that it ends with."""

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.fault.service_process import ServiceProcess, services

_FIGURES = pytest.StashKey[list[str]]()


def pytest_addoption(parser):
    group = parser.getgroup("soak", "faults for hours")
    group.addoption("--seed", type=int, help="of all that is random; default: another")
    group.addoption("--kills", type=int, default=300, help="cycles of mixed writes and kill -9")
    group.addoption("--kill-minutes", type=float, help="end the cycles after so many minutes")
    group.addoption("--images", type=int, default=20_000, help="damaged images to decode")
    group.addoption("--job-images", type=int, default=5_000, help="images of the killed job")
    group.addoption("--examples", type=int, default=100, help="stateful sequences of API calls")
    group.addoption("--minutes", type=float, default=30.0, help="of steady load")


def pytest_configure(config):
    config.stash[_FIGURES] = []


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., ServiceProcess]]:
    with services(tmp_path / "data") as started:
        yield started


@pytest.fixture(scope="session")
def seed(request) -> int:
    given = request.config.getoption("--seed")
    return random.SystemRandom().randrange(10**6) if given is None else given


@pytest.fixture
def option(request) -> Callable[[str], float]:
    """``option("--kills")``"""
    return request.config.getoption


@pytest.fixture
def report(request) -> Callable[[object], None]:
    """``report(figures)``: said at once, and again at the end of the run."""
    name, started = request.node.name, time.monotonic()

    def say(figures: object) -> None:
        line = f"{name} ({time.monotonic() - started:.0f} s): {figures}"
        request.config.stash[_FIGURES].append(line)
        print(line, flush=True)

    return say


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("figures")
    for line in config.stash[_FIGURES]:
        terminalreporter.write_line(line)

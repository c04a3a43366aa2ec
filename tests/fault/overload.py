"""More requests than can be answered: how long the accepted wait, how soon the rest are told."""

import threading
import time
from dataclasses import dataclass, field

import httpx
import numpy as np

from tests.fault.service_process import ServiceProcess
from tests.support.pictures import small_jpeg


@dataclass
class Load:
    """What came of the requests of one phase; all times in seconds.

    Attributes:
        accepted: times of the answers.
        refused: times of 503 and 429.
        others: statuses that are neither, which is wrong.
        seconds: how long the phase took.
    """

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def p99(self) -> float:
        return float(np.quantile(self.accepted, 0.99))

    @property
    def median(self) -> float:
        return float(np.median(self.accepted))

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.accepted) / self.seconds

    @property
    def median_refusal(self) -> float:
        return float(np.median(self.refused)) if self.refused else 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.accepted)} answered ({self.rate:.1f}/s, p50 "
            f"{self.median:.3f} s, p99 {self.p99:.3f} s), {len(self.refused)} refused "
            f"in {self.median_refusal:.3f} s (median)"
        )


def unloaded(service: ServiceProcess, requests: int) -> Load:
    """One request after the other."""
    load, started = Load(), time.monotonic()
    for number in range(requests):
        _ask(service.client, number, load)
    load.seconds = time.monotonic() - started
    return load


def overloaded(service: ServiceProcess, *, rate: float, seconds: float, clients: int) -> Load:
    """Requests at a steady rate, whatever becomes of them, each a client of its own.

    Args:
        service: asked.
        rate: requests a second, together.
        seconds: how long.
        clients: connections; enough that the rate is kept up while some wait.
    """
    load, started = Load(), time.monotonic()

    def send(position: int) -> None:
        with service.new_client() as client:
            for turn in range(int(rate * seconds / clients)):
                due = started + (turn * clients + position) / rate
                time.sleep(max(0.0, due - time.monotonic()))
                _ask(client, position, load)

    threads = [threading.Thread(target=send, args=(position,)) for position in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.monotonic() - started
    return load


def _ask(client: httpx.Client, number: int, load: Load) -> None:
    data = small_jpeg(number % 20, (16, 12))
    started = time.monotonic()
    response = client.post("/v1/attributions", files={"file": data})
    took = time.monotonic() - started
    if response.status_code == 200:
        load.accepted.append(took)
    elif response.status_code in (429, 503) and response.headers.get("retry-after"):
        load.refused.append(took)
    else:
        load.others.append(f"{response.status_code} {response.text[:200]}")

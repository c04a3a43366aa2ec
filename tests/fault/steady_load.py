"""Mixed load for as long as you like, and what the service's process needs meanwhile."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fault.kill_cycles import COLLECTIONS
from tests.fault.mixed_writes import Writer
from tests.fault.service_process import ServiceProcess


@dataclass(frozen=True)
class Need:
    """Of a process at one moment."""

    bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Steadiness:
    """Medians over the second and over the last third of a run; the first third warms up."""

    seed: int
    seconds: float
    acknowledged: int
    early: Need
    late: Need

    def __str__(self) -> str:
        return (
            f"{self.seconds:.0f} s of load, seed {self.seed}, {self.acknowledged} writes "
            f"acknowledged; memory {self.early.bytes / 2**20:.1f} -> "
            f"{self.late.bytes / 2**20:.1f} MiB, descriptors {self.early.descriptors} -> "
            f"{self.late.descriptors}, threads {self.early.threads} -> {self.late.threads}"
        )


def need_of(pid: int) -> Need:
    """What a process holds now."""
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return Need(
        int(status["VmRSS"].split()[0]) * 1024,
        len(list((process / "fd").iterdir())),
        int(status["Threads"]),
    )


def run_steadily(service: ServiceProcess, *, seconds: float, seed: int) -> Steadiness:
    """Write and ask for so long, looking at the process all the while.

    Raises:
        AssertionError: an answer was wrong.
    """
    acknowledged: Counter[str] = Counter()
    for name in COLLECTIONS:
        service.client.put(f"/v1/collections/{name}")
    writers = [Writer(name, seed, acknowledged) for name in COLLECTIONS[1:]]
    stopped = threading.Event()
    clients = [service.new_client() for _ in writers]
    threads = [
        threading.Thread(target=writer.write_until_killed, args=(client, stopped))
        for writer, client in zip(writers, clients, strict=True)
    ]
    for thread in threads:
        thread.start()
    seen, started = [], time.monotonic()
    while time.monotonic() < started + seconds and not any(w.failure for w in writers):
        seen.append(need_of(service.pid))
        time.sleep(min(1.0, seconds / 60))
    stopped.set()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    for writer in writers:
        if writer.failure is not None:
            raise AssertionError(f"seed {seed}: an answer was wrong") from writer.failure
        writer.check(service.client)
    third = len(seen) // 3
    return Steadiness(
        seed, time.monotonic() - started, sum(acknowledged.values()),
        _median(seen[third : 2 * third]), _median(seen[2 * third :]),
    )  # fmt: skip


def _median(needs: list[Need]) -> Need:
    rows = np.array([(need.bytes, need.descriptors, need.threads) for need in needs])
    return Need(*(int(value) for value in np.median(rows, axis=0)))

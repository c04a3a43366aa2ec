"""Cycles of mixed writes and ``kill -9`` against a real service, checked after every restart."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx

from attribution.catalog import Catalog, CatalogBusy
from tests.fault.mixed_writes import Writer
from tests.fault.service_process import ServiceProcess, end
from tests.support.forks import Fork, write_to

COLLECTIONS = ("default", "art", "press")
SETTINGS = {"query_rate": 0, "curate_rate": 0, "admin_rate": 0, "snapshot_seconds": 0.5}
_SECONDS = 180.0


@dataclass
class Figures:
    """What a run of cycles has seen."""

    seed: int
    cycles: int = 0
    killed_at_start: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    in_doubt: int = 0
    held: int = 0
    deleted: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {what}" for what, count in self.acknowledged.most_common())
        return (
            f"{self.cycles} kills (and {self.killed_at_start} more while starting), seed "
            f"{self.seed}, {self.seconds:.0f} s; {sum(self.acknowledged.values())} writes "
            f"acknowledged ({kinds}); {self.in_doubt} in doubt at a kill; in the end "
            f"{self.held} sources held, {self.deleted} deleted: nothing lost, nothing back"
        )


class KeyLedger:
    """Keys made and revoked beside the service, read from the log of the process that does it."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.active: dict[str, str] = {}
        self.revoked: dict[str, str] = {}
        self.doubtful: dict[str, str] = {}
        self._read = 0

    def read(self, acknowledged: Counter[str]) -> None:
        """Take in what the log has to say since last time."""
        if not self.log.exists():
            return
        lines = self.log.read_text(encoding="ascii").splitlines()
        self.doubtful = {}
        for line in lines[self._read :]:
            what, key_id, token = line.split(" ")
            if what == "made":
                self.active[key_id] = token
            elif what == "revoking":
                self.doubtful = {key_id: self.active.pop(key_id)}
            elif what == "revoked":
                self.revoked[key_id] = self.doubtful.pop(key_id)
            acknowledged[f"key {what}" if key_id != "-" else what] += what != "revoking"
        self._read = len(lines)

    def check(self, service: ServiceProcess, moves: random.Random) -> None:
        """Those made are taken, those revoked are not, and one in doubt is one or the other."""
        with service.new_client(headers={}) as client:
            for key_id, token in self.doubtful.items():
                taken = _status(client, token) == 200
                (self.active if taken else self.revoked)[key_id] = token
            for token in self.active.values():
                assert _status(client, token) == 200, "a key that was shown is not taken"
            sample = moves.sample(sorted(self.revoked.values()), min(5, len(self.revoked)))
            for token in sample:
                assert _status(client, token) == 401, "a key that was revoked is taken again"


def _status(client: httpx.Client, token: str) -> int:
    response = client.get("/v1/collections", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code in {200, 401}
    return response.status_code


def curate(folder, ledger, seed, active):
    """Makes and revokes keys and compacts beside the service, as the command line does.

    Says in a file what it is about to do and what it has done. Never returns.
    """
    write_to(folder.parent / "service.log")
    moves = random.Random(seed)
    log = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    active = dict(active)
    with Catalog.open(folder) as catalog:
        for number in count():
            what = moves.choices(["make", "revoke", "compact"], [6, 5, 1])[0]
            if what == "make" and len(active) < 6:
                issued = catalog.keys.create(f"{seed}-{number}", scopes=["query", "curate"])
                active[issued.key.key_id] = issued.token
                _say(log, "made", issued.key.key_id, issued.token)
            elif what == "revoke" and active:
                key_id = moves.choice(sorted(active))
                _say(log, "revoking", key_id, active.pop(key_id))
                catalog.keys.revoke(key_id)
                _say(log, "revoked", key_id, "-")
            elif what == "compact":
                catalog.compaction.ask()
                try:
                    catalog.compaction.run()
                except CatalogBusy:  # readers kept the log in use: it stays due
                    continue
                _say(log, "compacted", "-", "-")
            time.sleep(0.05)


def _say(log, *words):
    os.write(log, (" ".join(words) + "\n").encode())


def run_cycles(
    folder: Path,
    *,
    cycles: int,
    seed: int,
    until: float = float("inf"),
    progress: Callable[[object], None] | None = None,
) -> Figures:
    """Kill a service under writes so many times, or until a moment of `time.monotonic`.

    Raises:
        AssertionError: something acknowledged is lost, or something deleted has returned.
    """
    started, moves, figures = time.monotonic(), random.Random(seed), Figures(seed)
    data = folder / "data"
    with Catalog.open(data) as catalog:
        token = catalog.keys.create("driver", scopes=["admin"]).token
        for name in COLLECTIONS:
            catalog.put_collection(name)
    writers = [Writer(name, seed, figures.acknowledged) for name in COLLECTIONS]
    keys = KeyLedger(folder / "keys.log")
    service = ServiceProcess(data, token=token, settings=SETTINGS)
    try:
        for cycle in range(cycles):
            if time.monotonic() > until:
                break
            curator = Fork(curate, data, keys.log, seed * 1000 + cycle, keys.active)
            _write_and_kill(service, curator, writers, figures, moves)
            if moves.random() < 0.15:
                service.start()
                time.sleep(moves.uniform(0, 0.5))
                service.kill()
                figures.killed_at_start += 1
            service.start()
            figures.cycles += 1
            figures.in_doubt += sum(_doubts(writer) for writer in writers)
            keys.read(figures.acknowledged)
            keys.check(service, moves)
            for writer in writers:
                writer.check(service.client)
            if progress and figures.cycles % 50 == 0:
                progress(f"seed {seed}: {figures.cycles} cycles")
        _finish(service, writers)
    finally:
        service.close()
    figures.held = sum(len(writer.held()) for writer in writers)
    figures.deleted = sum(len(writer.gone) for writer in writers)
    figures.seconds = time.monotonic() - started
    return figures


def _write_and_kill(
    service: ServiceProcess,
    curator: Fork,
    writers: list[Writer],
    figures: Figures,
    moves: random.Random,
) -> None:
    stopped = threading.Event()
    clients = [service.new_client() for _ in writers]
    threads = [
        threading.Thread(target=writer.write_until_killed, args=(client, stopped))
        for writer, client in zip(writers, clients, strict=True)
    ]
    enough = sum(figures.acknowledged.values()) + moves.randint(0, 40)
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _SECONDS
    while sum(figures.acknowledged.copy().values()) < enough:
        if any(writer.failure for writer in writers) or time.monotonic() > deadline:
            break
        time.sleep(0.002)
    time.sleep(moves.uniform(0, 0.05))  # anywhere within the next operations
    service.kill()
    stopped.set()
    end(curator)
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    for writer in writers:
        if writer.failure is not None:
            raise AssertionError(f"seed {figures.seed}: a write went wrong") from writer.failure


def _doubts(writer: Writer) -> int:
    intent = writer.intent
    return bool(intent.titles or intent.job or intent.new_job or intent.description is not None)


def _finish(service: ServiceProcess, writers: list[Writer]) -> None:
    deadline = time.monotonic() + _SECONDS
    for writer in writers:
        for job_id in writer.jobs:
            while not writer.job_is_over(service.client, job_id):
                assert time.monotonic() < deadline, f"{job_id} does not end"
                time.sleep(0.05)
            writer.check_job(job_id, finished=True)

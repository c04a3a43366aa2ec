"""Mixed operations over several processes that are killed one after the other, and checked.

A writer goes on when the process that it asked is killed: it asks another one whether what was in
doubt has happened, which it may have or not, whole or not at all.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.fault.mixed_writes import Writer
from tests.fault.role_processes import Fleet, RoleProcess
from tests.support.clients import client as new_client
from tests.support.pictures import small_jpeg
from tests.support.waiting import wait_for

_SECONDS = 180.0


@dataclass
class Figures:
    """What a run has seen.

    Attributes:
        done: operations, among them those that change nothing.
        operations: acknowledged, by what they did.
        queries: that asked for the generation of the last write, and what they took, in seconds.
        in_doubt: operations whose process was killed under them.
        put_off: answers 503, after which a writer asked again.
        kills: by role.
        takeovers: seconds from the kill of the indexer to another that writes.
        compared: answers that are alike in every process, and in a service with its own index.
        job_images: results read of jobs, each image once.
    """

    done: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    queries: list[float] = field(default_factory=list)
    in_doubt: int = 0
    put_off: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)
    compared: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    job_images: int = 0
    held: int = 0
    deleted: int = 0


class RoleWriter(Writer):
    """Writes and asks through whichever process is there, and reads its own writes everywhere."""

    def __init__(self, collection: str, seed: int, urls: list[str]) -> None:
        super().__init__(collection, seed, Counter())
        self._clients = [new_client(url, timeout=_SECONDS) for url in urls]
        self._generation = 0
        self._sure = False
        self.operations = 0
        self.in_doubt = 0
        self.put_off: Counter[str] = Counter()
        self.waits: list[float] = []

    def work(self, enough: Callable[[], bool]) -> None:
        """Run in a thread: one operation after the other, until it is enough."""
        try:
            while not enough():
                try:
                    self._one()
                    self.operations += 1
                except httpx.TransportError:
                    self.in_doubt += 1
                    self.check_here()
        except BaseException as error:  # noqa: BLE001 (told by the thread that joins)
            self.failure = error

    def check_here(self) -> None:
        """What was acknowledged is there, and what is in doubt is whole: ask whoever is there."""
        self._sure = True  # all that a check sends may be sent again
        # A commit may be on its way still; behind this write it is done.
        self._send("POST", "/v1/sources", {200, 201}, files={"file": small_jpeg(1)})
        self.check(self._clients[0])
        self._sure = False

    def close(self) -> None:
        for each in self._clients:
            each.close()

    def _search(self) -> None:
        super()._search()
        self.acknowledged["query"] += 1

    def _ask(self) -> dict[str, Any]:
        started = time.monotonic()
        response = self._send(
            "POST", "/v1/attributions", {200},
            params={
                "collection": self.collection, "top_k": 100, "min_generation": self._generation
            },
            files={"file": small_jpeg(self.moves.randrange(10**6), (16, 12))},
        )  # fmt: skip
        self.waits.append(time.monotonic() - started)
        return dict(response.json())

    def _send(self, method: str, path: str, expected: set[int], **what: Any) -> httpx.Response:
        deadline = time.monotonic() + _SECONDS
        while True:
            assert time.monotonic() < deadline, (method, path)
            try:
                response = self.moves.choice(self._clients).request(method, path, **what)
            except httpx.ConnectError:  # nobody has heard of it
                time.sleep(0.02)
                continue
            except httpx.TransportError:
                if self._sure:
                    continue
                raise
            if response.status_code == 503 and 503 not in expected:
                self.put_off[response.json()["type"]] += 1
                time.sleep(0.05)
                continue
            assert response.status_code in expected, (method, path, response.text)
            kind = response.headers.get("content-type", "")  # where there is nothing there is none
            if method in {"POST", "DELETE"} and "application/json" in kind:
                self._generation = max(self._generation, response.json().get("generation", 0))
            return response


class Load:
    """Writers at work in threads until the block has ended and so many operations are done.

    Or until one has gone wrong.
    """

    def __init__(self, fleet: Fleet, *, operations: int, seed: int, writers: int) -> None:
        names = [f"of-{number}" for number in range(writers)]
        for name in names:
            fleet.apis[0].client.put(f"/v1/collections/{name}", json={}).raise_for_status()
        urls = [process.url for process in fleet.answering]
        self.writers = [RoleWriter(name, seed, urls) for name in names]
        self._operations, self._ended = operations, threading.Event()

    @property
    def done(self) -> int:
        return sum(writer.operations for writer in self.writers)

    @property
    def failed(self) -> bool:
        return any(writer.failure for writer in self.writers)

    def enough(self) -> bool:
        return self.failed or (self._ended.is_set() and self.done >= self._operations)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within the block they work, however long it takes; it ends with them."""
        threads = [
            threading.Thread(target=writer.work, args=(self.enough,)) for writer in self.writers
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()
        for writer in self.writers:
            if writer.failure is not None:
                raise AssertionError(f"{writer.collection} went wrong") from writer.failure

    def wait_until(self, due: int) -> None:
        while self.done < due and not self.failed:
            time.sleep(0.005)


def run(
    fleet: Fleet,
    *,
    operations: int,
    kills: int,
    seed: int,
    writers: int = 3,
    compared: int = 2,
    told: Callable[[str], object] = lambda _: None,
) -> Figures:
    """So many operations or more, with kills spread over them, and every check at the end.

    Work goes on while another takes over, so that a kill may come later than its turn, but it
    comes, and there are operations after the last. With so many `compared` of each writer's
    sources, and of unknown pictures.

    Raises:
        AssertionError: something is lost, doubled, back, unseen or different.
    """
    figures = Figures()
    load = Load(fleet, operations=operations, seed=seed, writers=writers)
    with load.working():
        for number, victim in zip(range(1, kills + 1), _victims(fleet), strict=False):
            load.wait_until(number * operations // (kills + 1))
            if load.failed:
                break
            _kill(fleet, victim(), figures)
            told(f"{load.done} operations, {number} kills")
        load.wait_until(load.done + operations // (kills + 1))
    fleet.wait_until_ready()
    _finish(fleet, load.writers, figures)
    _compare(fleet, load.writers, compared, figures)
    for writer in load.writers:
        writer.close()
    return figures


def _victims(fleet: Fleet) -> Iterator[Callable[[], RoleProcess]]:
    """Whom to kill next, in turns."""
    for turn in itertools.count():
        yield lambda turn=turn: fleet.apis[turn % len(fleet.apis)]
        yield fleet.leader
        yield lambda turn=turn: fleet.workers[turn % len(fleet.workers)]


def _kill(fleet: Fleet, victim: RoleProcess, figures: Figures) -> None:
    """Kill one and start it again; an indexer once another has taken over."""
    victim.kill()
    figures.kills[victim.role] += 1
    if victim.role == "indexer":
        killed = time.monotonic()
        fleet.leader()
        figures.takeovers.append(time.monotonic() - killed)
    victim.start()


def _finish(fleet: Fleet, writers: list[RoleWriter], figures: Figures) -> None:
    """Every job ends with each of its images once, and everything is as it was acknowledged."""
    client = fleet.apis[0].client
    for writer in writers:
        for job_id in writer.jobs:
            wait_for(lambda w=writer, j=job_id: w.job_is_over(client, j), _SECONDS)
            writer.check_job(job_id, finished=True)
        writer.check_here()
        figures.done += writer.operations
        figures.operations.update(writer.acknowledged)
        figures.queries += writer.waits
        figures.in_doubt += writer.in_doubt
        figures.put_off.update(writer.put_off)
        figures.job_images += sum(len(memory.results) for memory in writer.jobs.values())
        figures.held += len(writer.held())
        figures.deleted += len(writer.gone)


def _compare(fleet: Fleet, writers: list[RoleWriter], count: int, figures: Figures) -> None:
    """Every process gives the answers of a service with an index of its own on the catalog."""
    alone = fleet.begin("all", without=("index_url",))
    wait_for(alone.ready, _SECONDS)
    latest = alone.client.get("/v1/index").json()["generation"]
    for writer in writers:
        known = [writer.bytes[digest] for digest in writer.held()[:count]]
        unknown = [small_jpeg(seed) for seed in range(count)]
        for picture, within in itertools.product(known + unknown, (None, writer.collection)):
            parameters = {"min_generation": latest} | ({"collection": within} if within else {})
            wanted = _told(alone, picture, parameters)
            figures.decisions[wanted["decision"]] += 1
            for process in (*fleet.apis, *fleet.workers, *fleet.indexers):
                assert _told(process, picture, parameters) == wanted, (process.role, parameters)
                figures.compared += 1
    alone.close()


def _told(process: RoleProcess, picture: bytes, parameters: dict[str, Any]) -> dict[str, Any]:
    response = process.client.post("/v1/attributions", params=parameters, files={"file": picture})
    assert response.status_code == 200, response.text
    answer = dict(response.json())
    del answer["timings_ms"], answer["request_id"]
    return answer

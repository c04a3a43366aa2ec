"""At which rates replicas, Milvus or the indexer become the limit: a simulation of the roles.

Every duration comes from `load_costs.py`, which measures them on one machine; what follows from
them for several machines is this model's, and no measurement. Arrivals are Poisson. An `api`
computes one thing at a time, on as many cores as it was measured with: what waits is encoded
together, searched together, and then finished together. Milvus answers so many requests at once.
The indexer looks for changes every half second, brings up to a thousand into Milvus and into the
null, and publishes both, which every `api` then reads. A write is seen once it is published: how
long that takes is its lag, which is also by how much the null is older than the catalog.

    python benchmarks/load_model.py benchmarks/load_costs.json --out load_model.json
    python benchmarks/load_model.py benchmarks/load_costs.json --milvus 0.05   # a server, assumed
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import simpy
from circumstances import tell

from attribution.index.follower import BATCH

_WARM_UP = 0.2  # of the time simulated, of which nothing is counted
_PATIENCE = 1.0  # seconds within which 99 of 100 are to be served
_STEPS = 8  # halvings of the interval in which a limit lies

Event = Iterator[simpy.Event]


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds of a batch: `fixed + each * n`."""

    fixed: float
    each: float

    def __call__(self, n: int) -> float:
        """Seconds of `n` together."""
        return self.fixed + self.each * n

    @classmethod
    def through(cls, sizes: Sequence[int], seconds: Sequence[float]) -> Line:
        """The line with the least relative errors; neither of its numbers is negative."""
        weight = 1 / np.asarray(seconds)
        both = np.stack([np.ones(len(sizes)), np.asarray(sizes, float)], axis=1) * weight[:, None]
        fixed, each = np.linalg.lstsq(both, np.ones(len(sizes)), rcond=None)[0]
        if fixed < 0:
            return cls(0.0, float((both[:, 1] @ np.ones(len(sizes))) / (both[:, 1] @ both[:, 1])))
        if each < 0:
            return cls(float((both[:, 0] @ np.ones(len(sizes))) / (both[:, 0] @ both[:, 0])), 0.0)
        return cls(float(fixed), float(each))


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of each kind of work.

    Attributes:
        encode: queries by an `api`, which computes nothing else meanwhile.
        search: their requests to Milvus, which an `api` waits for.
        finish: the rest of their answers, likewise.
        apply: changes brought into Milvus by the indexer.
        follow: the same changes brought into the null, without Milvus.
        publish: generation and null written to the catalog.
        read: the same read by an `api`, likewise.
    """

    encode: Line
    search: Line
    finish: Line
    apply: Line
    follow: Line
    publish: float
    read: float

    @classmethod
    def of(cls, known: dict[str, Any]) -> Costs:
        """As `asdict` writes them."""
        return cls(
            **{
                name: Line(**value) if isinstance(value, dict) else value
                for name, value in known.items()
            }
        )


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is deployed.

    Attributes:
        replicas: processes of the role `api`, each with cores of its own.
        milvus: requests that Milvus works on at once.
        together: queries that an `api` takes into one batch at most.
        follow_seconds: between the indexer's looks for changes.
    """

    replicas: int = 1
    milvus: int = 1
    together: int = 16
    follow_seconds: float = 0.5


@dataclass(slots=True)
class Outcome:
    """What was seen, of queries and writes that came after the warm-up.

    Attributes:
        answered: seconds from the arrival of each query to its answer.
        seen: seconds from each write until it was published.
        unanswered: queries that waited at the end.
        unseen: writes that did.
        busy: share of the time in which each kind of worker worked.
    """

    answered: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    unanswered: int = 0
    unseen: int = 0
    busy: dict[str, float] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Quantiles in seconds, what was left over, and what was busy."""
        known = {"answered": self.answered, "seen": self.seen}
        quantiles = {
            f"{name}_p{round(100 * q)}": round(float(np.quantile(values, q)), 3)
            for name, values in known.items()
            if values
            for q in (0.5, 0.99)
        }
        busy = {name: round(share, 2) for name, share in self.busy.items()}
        return {**quantiles, "unanswered": self.unanswered, "unseen": self.unseen, "busy": busy}


class _Worker:
    """So many that work at once; remembers how long they did."""

    def __init__(self, env: simpy.Environment, capacity: int) -> None:
        self._env, self._capacity = env, capacity
        self._resource = simpy.Resource(env, capacity)
        self._worked = 0.0

    def work(self, seconds: float) -> Event:
        """Wait for one that is free and occupy it for so long; for no time, wait for none."""
        if seconds == 0:
            return
        with self._resource.request() as turn:
            yield turn
            yield self._env.timeout(seconds)
            self._worked += seconds

    def busy(self) -> float:
        """Share of the time until now."""
        return self._worked / (self._capacity * self._env.now)


class _Replica:
    """An `api`: two stages that compute in turn, and Milvus between them."""

    def __init__(self, env: simpy.Environment, costs: Costs, fleet: Fleet, milvus: _Worker) -> None:
        self._env, self._costs, self._milvus = env, costs, milvus
        self._together = fleet.together
        self.cores = _Worker(env, 1)
        self.asked: simpy.Store = simpy.Store(env)
        self._encoded: simpy.Store = simpy.Store(env)
        self.done: list[tuple[float, float]] = []  # arrival, answer
        env.process(self._encode())
        env.process(self._answer())

    def read(self) -> None:
        """What was published is read, when nothing else is computed."""
        self._env.process(self.cores.work(self._costs.read))

    def _taken(self, store: simpy.Store) -> Event:
        """All that waits, up to a batch; waits for the first."""
        first = yield store.get()
        batch = [first]
        while store.items and len(batch) < self._together:
            batch.append((yield store.get()))
        return batch

    def _encode(self) -> Event:
        while True:
            batch = yield from self._taken(self.asked)
            yield from self.cores.work(self._costs.encode(len(batch)))
            for each in batch:
                yield self._encoded.put(each)

    def _answer(self) -> Event:
        while True:
            batch = yield from self._taken(self._encoded)
            yield from self._milvus.work(self._costs.search(len(batch)))
            yield from self.cores.work(self._costs.finish(len(batch)))
            self.done += [(arrived, self._env.now) for arrived in batch]


class _Indexer:
    """The process that writes the index: a batch, then the null, then both are published."""

    def __init__(
        self,
        env: simpy.Environment,
        costs: Costs,
        fleet: Fleet,
        milvus: _Worker,
        published: Callable[[], None],
    ) -> None:
        self._env, self._costs, self._fleet, self._milvus = env, costs, fleet, milvus
        self._published = published
        self._worked = 0.0
        self.waiting: list[float] = []
        self.done: list[tuple[float, float]] = []  # write, published
        env.process(self._follow())

    def _follow(self) -> Event:
        while True:
            while self.waiting:
                batch = self.waiting[:BATCH]
                began = self._env.now
                yield from self._milvus.work(self._costs.apply(len(batch)))
                yield self._env.timeout(self._costs.follow(len(batch)) + self._costs.publish)
                self._worked += self._env.now - began
                del self.waiting[: len(batch)]
                self.done += [(written, self._env.now) for written in batch]
                self._published()
            yield self._env.timeout(self._fleet.follow_seconds)

    def busy(self) -> float:
        """Share of the time until now, waiting for Milvus included."""
        return self._worked / self._env.now


def simulate(
    costs: Costs,
    fleet: Fleet,
    *,
    queries: float,
    writes: float,
    seconds: float = 300.0,
    seed: int = 0,
) -> Outcome:
    """Let queries and writes arrive at random for so long.

    Args:
        costs: of the work.
        fleet: that does it.
        queries: a second, dealt out to the replicas in turn.
        writes: a second.
        seconds: simulated; the first fifth is not counted.
        seed: of the arrivals.
    """
    env = simpy.Environment()
    milvus = _Worker(env, fleet.milvus)
    replicas = [_Replica(env, costs, fleet, milvus) for _ in range(fleet.replicas)]

    def published() -> None:
        for each in replicas:
            each.read()

    indexer = _Indexer(env, costs, fleet, milvus, published)
    streams = [np.random.default_rng([seed, number]) for number in range(2)]

    def arrivals(rate: float, stream: np.random.Generator, arrive: Callable[[int], None]) -> Event:
        number = 0
        while rate > 0:
            yield env.timeout(float(stream.exponential(1 / rate)))
            arrive(number)
            number += 1

    def ask(number: int) -> None:
        replicas[number % len(replicas)].asked.put(env.now)

    env.process(arrivals(queries, streams[0], ask))
    env.process(arrivals(writes, streams[1], lambda _: indexer.waiting.append(env.now)))
    env.run(until=seconds)
    counted = _WARM_UP * seconds
    answers = [pair for each in replicas for pair in each.done]
    outcome = Outcome(
        [end - start for start, end in answers if start >= counted],
        [end - start for start, end in indexer.done if start >= counted],
        sum(len(each.asked.items) for each in replicas),
        len(indexer.waiting),
    )
    computing = [each.cores.busy() for each in replicas]
    outcome.busy = {
        "api": float(np.mean(computing)),
        "milvus": milvus.busy(),
        "indexer": indexer.busy(),
    }
    return outcome


def largest(served: Callable[[float], bool], *, at_most: float) -> float:
    """The largest rate that is served, within a hundredth of `at_most` or less, by halving."""
    low, high = 0.0, at_most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if served(middle) else (low, middle)
    return low


def in_time(values: Sequence[float], left: int, rate: float) -> bool:
    """Whether 99 of 100 took less than a second, and no more wait than a second brings."""
    return bool(values) and float(np.quantile(values, 0.99)) <= _PATIENCE and left <= rate + 1


def limits(costs: Costs, fleet: Fleet, *, writes: float, seconds: float = 60.0) -> dict[str, Any]:
    """The most queries a second beside so many writes, and what is busy then."""

    def outcome(queries: float) -> Outcome:
        return simulate(costs, fleet, queries=queries, writes=writes, seconds=seconds)

    def served(queries: float) -> bool:
        seen = outcome(queries)
        return in_time(seen.answered, seen.unanswered, queries)

    bound = fleet.replicas / (costs.encode.each + costs.finish.each)
    most = largest(served, at_most=bound)
    return {**asdict(fleet), "writes": writes, "queries": round(most, 1), **outcome(most).figures()}


def main() -> None:
    """Limits of several fleets, and the lag by rates of writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("costs", type=Path, help="JSON of load_costs.py")
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--milvus",
        type=float,
        metavar="SECONDS",
        help="assume that Milvus takes so long for a search or a batch, whatever was measured",
    )
    parser.add_argument("--quick", action="store_true", help="two fleets and two rates of writes")
    options = parser.parse_args()
    measured = json.loads(options.costs.read_text())
    costs = Costs.of(measured["costs"])
    if options.milvus is not None:
        assumed = Line(options.milvus, 0.0)
        costs = replace(costs, search=assumed, apply=assumed)
    several = (1, 2) if options.quick else (1, 2, 4, 8, 16)
    rates = (1.0, 100.0) if options.quick else (1.0, 10.0, 50.0, 100.0, 200.0, 400.0, 800.0)
    beside, seconds = ((0.0,), 10.0) if options.quick else ((0.0, 20.0), 60.0)
    fleets = [
        limits(costs, Fleet(replicas, milvus), writes=writes, seconds=seconds)
        for replicas in several
        for milvus in (1, 4)
        for writes in (0.0, 10.0)
    ]
    lags = [
        {"queries": queries, "writes": writes}
        | simulate(
            costs, Fleet(4, 4), queries=queries, writes=writes, seconds=5 * seconds
        ).figures()
        for queries in beside
        for writes in rates
    ]
    result = {"costs": measured, "assumed_milvus": options.milvus, "limits": fleets, "lags": lags}
    tell(result, options.out)


if __name__ == "__main__":
    main()

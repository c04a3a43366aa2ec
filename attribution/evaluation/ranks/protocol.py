"""Runs methods over a benchmark: who competes in whose gallery. Knows no file format.

`open`: every source of the benchmark and every distractor compete for every query, as in a gallery
that serves many customers. `own-exemplars`: a query's gallery is the distractors and the exemplars
of its own model only, the protocol of AbC (Wang et al., ICCV 2023, arXiv 2306.09345).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from attribution.evaluation.benchmark.cases import BadBenchmark, Benchmark, Case
from attribution.evaluation.benchmark.treatments import (
    TREATMENTS,
    treated_queries,
    treated_query,
)
from attribution.evaluation.progress import OnSteps, Steps
from attribution.evaluation.ranks.methods import Describer, Method, Rows
from attribution.evaluation.ranks.rankings import Evaluation, Ranking
from attribution.looks import looks_at_picture
from attribution.measures import best_columns, truth_ranks

Protocol = Literal["open", "own-exemplars"]
OnPairs = Callable[[str, Rows, Rows], None]
BEST = 10
"""Gallery keys kept of each query, for pictures."""
_SCORES_AT_ONCE = 2**24  # bounds memory: 64 MB of scores, and as much again for temporaries
_PAIRS_AT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Task:
    """One case in terms of columns of the gallery, whose first columns are the sources."""

    truths: tuple[int, ...]
    own: NDArray[np.intp] | None
    """The only sources that compete for it; None: all of them."""
    excluded: NDArray[np.intp]

    def hide(self, scores: Rows, sources: int) -> None:
        """Take what does not compete out of one row of scores, in place."""
        if self.own is not None:
            kept = scores[self.own]
            scores[:sources] = -np.inf
            scores[self.own] = kept
        scores[self.excluded] = -np.inf


@dataclass(frozen=True, slots=True)
class _Looks:
    """Rows of pictures, and of their mirror images where a method asks."""

    rows: Rows
    mirror: Rows | None

    def scores(
        self,
        method: Method,
        chosen: slice | NDArray[np.intp],
        gallery: Rows,
        tasks: Sequence[_Task],
    ) -> Rows:
        """`(n, m)` scores of some of them, that may be written to."""
        truth = [task.truths for task in tasks]
        scores = np.array(method.scorer(self.rows[chosen], gallery, truth), dtype=np.float32)
        if method.mirrored and self.mirror is not None:
            np.maximum(scores, method.scorer(self.mirror[chosen], gallery, truth), out=scores)
        if scores.shape != (len(tasks), len(gallery)):
            raise ValueError(
                f"{method.name} gave scores of shape {scores.shape} for {len(tasks)} queries and "
                f"{len(gallery)} gallery images"
            )
        if not np.isfinite(scores).all():
            raise ValueError(f"{method.name} gave scores that are not finite")
        return scores


@dataclass(frozen=True, slots=True)
class _Described:
    """Rows of one describer: the gallery's, and the queries' under one condition."""

    condition: str
    gallery: Rows
    queries: _Looks
    framed: _Looks
    """What queries frame, where they frame something."""
    framing: NDArray[np.intp]
    """Numbers of those queries."""

    def pairs(self, tasks: Sequence[_Task]) -> tuple[Rows, Rows]:
        """Rows of each query beside each of its sources; of many pairs, some spread evenly."""
        pairs = [(number, column) for number, task in enumerate(tasks) for column in task.truths]
        chosen = np.array(pairs)[:: -(-len(pairs) // _PAIRS_AT_MOST)]
        return self.queries.rows[chosen[:, 0]], self.gallery[chosen[:, 1]]


def evaluate(
    benchmark: Benchmark,
    methods: Sequence[Method],
    *,
    conditions: Sequence[str] = ("clean",),
    protocol: Protocol = "open",
    on_images: OnSteps | None = None,
    on_pairs: OnPairs | None = None,
) -> Evaluation:
    """Rank the sources of every case by every method under every condition.

    The gallery is described once for each describer and is never treated; only one describer's
    rows are held at a time. What cannot be read has been left out before (`benchmark.screening`).

    Args:
        benchmark: what to rank.
        methods: of different names.
        conditions: names in `TREATMENTS`. Treatments are seeded by the case's number, so every
            method sees the same pixels.
        protocol: who competes.
        on_images: called with the number of images described and how many there will be.
        on_pairs: called once for each describer, where clean queries are asked for, with its name
            and the rows of true pairs: each query beside each of its sources, for diagnostics.

    Raises:
        BadBenchmark: nothing to rank, an image that cannot be read, or the protocol makes no
            sense of the data.
        ValueError: unknown conditions, or methods that share a name.
    """
    _check(benchmark, methods, conditions)
    tasks = _tasks(benchmark, protocol)
    counted = Steps(_images_to_describe(benchmark, methods, conditions), on_images)
    found: dict[tuple[str, str], Ranking] = {}
    for describer in {method.describer.name: method.describer for method in methods}.values():
        sharing = [method for method in methods if method.describer.name == describer.name]
        for views in _described(benchmark, describer, sharing, conditions, counted):
            if on_pairs is not None and views.condition == "clean":
                on_pairs(describer.name, *views.pairs(tasks))
            for method in sharing:
                found[method.name, views.condition] = _rank(benchmark, method, views, tasks)
        del views  # or its rows were held beside the next describer's
    return Evaluation(
        benchmark=benchmark.name,
        protocol=protocol,
        cut=benchmark.cut,
        sources=len(benchmark.sources),
        distractors=len(benchmark.distractors),
        cases=benchmark.ranked,
        rankings=tuple(
            found[method.name, condition] for method in methods for condition in conditions
        ),
    )


def _images_to_describe(
    benchmark: Benchmark, methods: Sequence[Method], conditions: Sequence[str]
) -> int:
    names = {method.describer.name for method in methods}
    mirrored = {method.describer.name for method in methods if method.mirrored}
    passes = (len(names) + len(mirrored)) * len(conditions)
    return len(names) * len(benchmark.gallery) + passes * len(benchmark.ranked)


def _check(benchmark: Benchmark, methods: Sequence[Method], conditions: Sequence[str]) -> None:
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ValueError(f"methods share a name: {', '.join(sorted(names))}")
    unknown = [name for name in conditions if name not in TREATMENTS]
    if unknown or not conditions:
        raise ValueError(f"conditions {unknown}: known are {', '.join(TREATMENTS)}")
    if not benchmark.ranked:
        raise BadBenchmark(f"{benchmark.name}: no query has a true source, so nothing is ranked")


def _tasks(benchmark: Benchmark, protocol: Protocol) -> list[_Task]:
    columns = {picture.key: column for column, picture in enumerate(benchmark.gallery)}
    if len(columns) < len(benchmark.gallery):
        raise BadBenchmark(f"{benchmark.name}: two images of the gallery have the same key")
    if protocol == "own-exemplars" and not benchmark.distractors:
        raise BadBenchmark(
            "own-exemplars ranks a model's exemplars against distractors only, and there are "
            "none: give --distractors, or use --protocol open"
        )

    def of(keys: Iterable[str]) -> NDArray[np.intp]:
        return np.array(sorted(columns[key] for key in keys), np.intp)

    groups = {name: of(keys) for name, keys in benchmark.groups.items()}  # shared by many cases
    tasks = []
    for case in benchmark.ranked:
        truths = tuple(columns[truth.key] for truth in case.truths)
        own = None
        if protocol == "own-exemplars":
            # Where no model is named, its exemplars are what the query was made from.
            own = np.array(sorted(truths)) if case.gallery is None else groups[case.gallery]
        excluded = of(case.excluded)
        if np.isin(truths, excluded).any() or (own is not None and not np.isin(truths, own).all()):
            raise BadBenchmark(
                f"{case.picture.place}: a true source of it is not in its own gallery"
            )
        tasks.append(_Task(truths, own, excluded))
    return tasks


def _described(
    benchmark: Benchmark,
    describer: Describer,
    methods: Sequence[Method],
    conditions: Sequence[str],
    counted: Steps,
) -> Iterator[_Described]:
    """The gallery once, then the queries under each condition; mirrored where a method asks."""
    gallery = describer(counted.each(picture.load() for picture in benchmark.gallery))
    cases = benchmark.ranked
    mirrored = any(method.mirrored for method in methods)
    for condition in conditions:
        framing: list[int] = []
        images = treated_queries(cases, condition)
        if any(method.framed for method in methods):
            images = _noting_frames(images, framing)
        queries = describer(counted.each(images))
        mirror = None
        if mirrored:
            mirror = describer(counted.each(treated_queries(cases, condition, mirrored=True)))
        framed = _Looks(queries[:0], None)
        if framing:
            rows = describer(_framed(cases, framing, condition))
            again = map(ImageOps.mirror, _framed(cases, framing, condition))
            framed = _Looks(rows, describer(again) if mirrored else None)
        numbers = np.array(framing, np.intp)
        yield _Described(condition, gallery, _Looks(queries, mirror), framed, numbers)


def _noting_frames(images: Iterable[Image.Image], framing: list[int]) -> Iterator[Image.Image]:
    """The same images; the numbers of those that frame a picture are put into `framing`."""
    for number, image in enumerate(images):
        if len(looks_at_picture(image).pictures) > 1:
            framing.append(number)
        yield image


def _framed(cases: Sequence[Case], numbers: Iterable[int], condition: str) -> Iterator[Image.Image]:
    """What queries of these numbers frame."""
    for number in numbers:
        yield from looks_at_picture(treated_query(cases[number], number, condition)).pictures[1:]


def _rank(
    benchmark: Benchmark, method: Method, described: _Described, tasks: Sequence[_Task]
) -> Ranking:
    """Ranks of the truths, and what was ranked first, of every case.

    Equal scores rank in one random order, the same for all cases: sources stand before
    distractors in the gallery, and by that order a method that sees no difference would find them.
    """
    pictures, sources = benchmark.gallery, len(benchmark.sources)
    order = np.random.default_rng(0).permutation(len(pictures))
    place = np.argsort(order)
    step = max(1, _SCORES_AT_ONCE // len(pictures)) if method.blockwise else len(tasks)
    ranks: list[tuple[int, ...]] = []
    best: list[tuple[str, ...]] = []
    for start in range(0, len(tasks), step):
        block = tasks[start : start + step]
        scores = _scores(method, described, block, start, sources)
        for row, task in zip(scores, block, strict=True):
            shuffled = row[order]
            ranks.append(truth_ranks(shuffled, place[list(task.truths)].tolist()))
            first = order[best_columns(shuffled, BEST)]
            best.append(tuple(pictures[column].key for column in first))
    return Ranking(method.name, described.condition, tuple(ranks), tuple(best))


def _scores(
    method: Method, described: _Described, tasks: Sequence[_Task], start: int, sources: int
) -> Rows:
    """`(n, m)` scores of the queries from `start` on, -inf of what does not compete."""
    gallery, stop = described.gallery, start + len(tasks)
    scores = described.queries.scores(method, slice(start, stop), gallery, tasks)
    _hide(scores, tasks, sources)
    framing = described.framing
    places = np.flatnonzero((start <= framing) & (framing < stop))
    if method.framed and len(places):
        rows = framing[places] - start
        asked = [tasks[row] for row in rows]
        framed = described.framed.scores(method, places, gallery, asked)
        _hide(framed, asked, sources)
        better = framed.max(axis=1) > scores[rows].max(axis=1)
        scores[rows[better]] = framed[better]
    return scores


def _hide(scores: Rows, tasks: Sequence[_Task], sources: int) -> None:
    for row, task in zip(scores, tasks, strict=True):
        task.hide(row, sources)

"""Leaves out of a benchmark what cannot be read, before anything is measured. Knows no method.

A case of which a source cannot be read is left out whole: with fewer sources it would be another,
mostly easier question, and its name would still stand for the old one. Only where the sources are
pictures of one thing (`Benchmark.alike`) the case keeps the others. What can be read of the
gallery stays in it, so that every case that is left has the competitors it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Picture,
)
from attribution.evaluation.progress import OnSteps, Steps

_BLOCK = 256  # a pool takes all that it is given at once


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is in no figure: `place` says where it lies, `reason` why."""

    kind: Literal["query", "source", "distractor"]
    place: str
    reason: str


def readable(
    benchmark: Benchmark, *, on_images: OnSteps | None = None
) -> tuple[Benchmark, tuple[LeftOut, ...]]:
    """What can be measured of a benchmark, and what was left out of it.

    Every image is decoded once. The cases that are left keep their numbers, so that a treatment
    draws the same for them as if all were there.

    Raises:
        BadBenchmark: nothing is left to measure; says why of the first.
    """
    asked = [case.picture for case in benchmark.cases]
    steps = Steps(len(asked) + len(benchmark.gallery), on_images)
    told = [_complaints(each, steps) for each in (asked, benchmark.sources, benchmark.distractors)]
    queries, sources, distractors = told
    cases: list[Case] = []
    left_out = [LeftOut("source", *each) for each in _told(benchmark.sources, sources)]
    for case, query in zip(_numbered(benchmark), asked, strict=True):
        reason = queries.get(query.key)
        lost = [truth.key for truth in case.truths if truth.key in sources]
        kept = tuple(truth for truth in case.truths if truth.key not in sources)
        if reason is None and lost and not (benchmark.alike and kept):
            reason = f"of its sources, {lost[0]} cannot be read"
        if reason is None:
            excluded = case.excluded - sources.keys()
            cases.append(replace(case, truths=kept, excluded=excluded))
        else:
            left_out.append(LeftOut("query", query.place, reason))
    left_out += [LeftOut("distractor", *each) for each in _told(benchmark.distractors, distractors)]
    left = replace(
        benchmark,
        cases=tuple(cases),
        sources=tuple(each for each in benchmark.sources if each.key not in sources),
        distractors=tuple(each for each in benchmark.distractors if each.key not in distractors),
        groups={name: keys - sources.keys() for name, keys in benchmark.groups.items()},
    )
    if left_out and (not cases or (benchmark.ranked and not left.ranked)):
        first = next(each for each in left_out if each.kind != "distractor")
        raise BadBenchmark(
            f"{benchmark.name}: none of its queries is left, as images cannot be read: the first "
            f"is {first.place}: {first.reason}"
        )
    return left, tuple(left_out)


def _complaints(pictures: Sequence[Picture], steps: Steps) -> dict[str, str]:
    """Why a picture cannot be read, by the key of each that cannot."""

    def complaint(picture: Picture) -> str | None:
        try:
            picture.load()
        except BadBenchmark as error:
            return str(error).removeprefix(f"{picture.place}: ")
        return None

    found: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for start in range(0, len(pictures), _BLOCK):
            block = pictures[start : start + _BLOCK]
            for picture, reason in zip(block, pool.map(complaint, block), strict=True):
                steps.add(1)
                if reason is not None:
                    found[picture.key] = reason
    return found


def _told(pictures: Sequence[Picture], reasons: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((each.place, reasons[each.key]) for each in pictures if each.key in reasons)


def _numbered(benchmark: Benchmark) -> Iterator[Case]:
    """The cases with their numbers: those with sources first, as they are asked."""
    ranked = count()
    others = count(len(benchmark.ranked))
    return (
        replace(case, number=next(ranked if case.truths else others)) for case in benchmark.cases
    )

"""Images in, attributions out: the trip of one query or of a batch of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from starlette.concurrency import run_in_threadpool

from app.batcher import BatcherClosedError, InferenceError
from app.embedder import Embedded
from app.explaining import Explained, explained
from app.service import Service
from app.uploads import Upload
from attribution.answer import Attribution


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every image of a request."""

    top_k: int
    alpha: float
    collections: frozenset[str] | None
    min_generation: int
    explain: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """One image's attribution, and what it took."""

    embedded: Embedded
    attribution: Attribution
    search_seconds: float
    explained: Explained | None = None


async def make_ready(service: Service, question: Question) -> None:
    """Refuse a question that no image could make sense of, before any work is done.

    Raises:
        CollectionNotFound: one of the collections does not exist.
        Problem: the index does not get to `min_generation`.
    """
    for name in sorted(question.collections or ()):
        await run_in_threadpool(service.catalog.collection, name)
    await service.reach(question.min_generation)


async def answer(
    service: Service, uploads: Sequence[Upload], question: Question
) -> list[Answered | Exception]:
    """One answer for each image in order, or what kept that image from having one."""
    outcomes = await asyncio.gather(
        *(service.embedder.embed(upload, domain="query") for upload in uploads),
        return_exceptions=True,
    )
    answered = iter(
        await _search(service, [item for item in outcomes if isinstance(item, Embedded)], question)
    )
    results: list[Answered | Exception] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            results.append(outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results.append(next(answered))
    return [await _explain(service, result) for result in results] if question.explain else results


async def _explain(service: Service, result: Answered | Exception) -> Answered | Exception:
    """An answer with its maps. One after the other, so that a batch holds those of one image."""
    if isinstance(result, Exception):
        return result
    try:
        maps = await explained(service, result.embedded, result.attribution)
    except (InferenceError, BatcherClosedError) as error:
        return error
    return replace(result, explained=maps)


async def _search(
    service: Service, embedded: Sequence[Embedded], question: Question
) -> list[Answered]:
    if not embedded:
        return []
    started = time.perf_counter()
    attributions = await run_in_threadpool(
        service.attributor.attribute,
        np.stack([item.embedding for item in embedded]),
        top_k=question.top_k,
        collections=question.collections,
        alpha=question.alpha,
    )
    seconds = time.perf_counter() - started
    return [
        Answered(item, attribution, seconds)
        for item, attribution in zip(embedded, attributions, strict=True)
    ]

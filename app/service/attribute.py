"""Images in, attributions out: the trip of one query or of a batch of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from starlette.concurrency import run_in_threadpool

from app.access.caller import Caller
from app.answers import Answered, Question
from app.inference.batcher import BatcherClosedError, InferenceError
from app.inference.embedder import Embedded
from app.inference.upload import Upload
from app.schemas.attribution import AttributionParameters, ExplainableParameters
from app.service.explaining import explained
from app.service.service import Service


def question_of(
    parameters: AttributionParameters, caller: Caller, *, default_alpha: float
) -> Question:
    """What a caller asks, as far as that caller reaches.

    Raises:
        CollectionNotFound: a collection that is asked for is out of reach.
    """
    return Question(
        top_k=parameters.top_k,
        alpha=parameters.alpha if parameters.alpha is not None else default_alpha,
        collections=caller.searched(parameters.collection),
        min_generation=parameters.min_generation,
        named=frozenset(parameters.collection),
        reach=caller.collections,
        explain=isinstance(parameters, ExplainableParameters) and parameters.explain,
    )


async def make_ready(service: Service, question: Question) -> None:
    """Refuse a question that no image could make sense of, before any work is done.

    Raises:
        CollectionNotFound: one of the collections does not exist.
        Problem: the index does not get to `min_generation`.
    """
    for name in sorted(question.named):
        await run_in_threadpool(service.catalog.collection, name)
    await service.reach(question.min_generation, within=question.reach)


async def answer(
    service: Service, uploads: Sequence[Upload], question: Question
) -> list[Answered | Exception]:
    """One answer for each image in order, or what kept that image from having one."""
    outcomes = await asyncio.gather(
        *(service.serving.embedder.embed(upload, domain="query") for upload in uploads),
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
    search = partial(
        service.serving.attributor.attribute,
        np.stack([item.embedding for item in embedded]),
        top_k=question.top_k,
        collections=question.collections,
        alpha=question.alpha,
    )
    # Threads of their own: a request that has waited long enough leaves its search behind, and
    # what is left behind must not take the threads that everything else runs in.
    attributions = await asyncio.get_running_loop().run_in_executor(service.searching, search)
    seconds = time.perf_counter() - started
    seen = attributions[0].index_generation  # of all of them: they were searched for together
    if question.reach is not None:
        seen = await run_in_threadpool(service.numbering.shown, seen, question.reach)
    return [
        Answered(item, attribution, seconds, seen)
        for item, attribution in zip(embedded, attributions, strict=True)
    ]

"""Images in, attributions out: the trip of one query or of a batch of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from app.access.caller import Caller
from app.answers import (
    Explained,
    FreshAnswer,
    Question,
    answered,
    begin_asking,
    comes_to_be_recognised,
    recognise,
)
from app.inference.batcher import BatcherClosedError
from app.inference.embedder import Embedded
from app.inference.forward_pass import InferenceError
from app.inference.upload import Upload
from app.schemas.question import AttributionParameters, ExplainableParameters
from app.service.service import Service
from attribution.explanation import (
    Previewed,
    evidence,
    explain,
    read_previews,
    sources_to_explain,
    variants_of_query,
    views_of_query,
)
from models.images.notes import Turn

_QUEUEING_SECONDS = 1.0
"""A catalog that is locked for longer takes the messages later, and the answer goes out."""


async def question_of(
    service: Service, parameters: AttributionParameters, caller: Caller
) -> Question:
    """What a caller asks, as far as that caller reaches.

    Raises:
        CollectionNotFound: a collection that is asked for does not exist, or is out of reach.
    """
    searched = caller.searched(parameters.collection)
    for name in sorted(set(parameters.collection)):
        await run_in_threadpool(service.catalog.collection, name)
    return Question(
        top_k=parameters.top_k,
        alpha=parameters.alpha if parameters.alpha is not None else service.settings.alpha,
        collections=searched,
        guarantee=parameters.guarantee or service.settings.guarantee,
        no_source=parameters.no_source,
        recall=parameters.recall,
        any_way_up=parameters.any_way_up,
        min_generation=parameters.min_generation,
        reach=caller.collections,
        explain=isinstance(parameters, ExplainableParameters) and parameters.explain,
    )


async def answer(
    service: Service, uploads: Sequence[Upload], question: Question
) -> list[FreshAnswer | Exception]:
    """One answer for each image in order, or what kept that image from having one."""
    outcomes = await asyncio.gather(
        *(
            service.serving.embedder.embed(upload, domain="query", any_way_up=question.any_way_up)
            for upload in uploads
        ),
        return_exceptions=True,
    )
    searched = await _search(
        service, [item for item in outcomes if isinstance(item, Embedded)], question
    )
    await _announce(service, searched)
    answers = iter(searched)
    results: list[FreshAnswer | Exception] = []
    for outcome in outcomes:
        if isinstance(outcome, Embedded):
            found = next(answers)
            # One after the other, so that a batch holds the maps of one image.
            results.append(await _explained(service, found) if question.explain else found)
        elif isinstance(outcome, Exception):
            results.append(outcome)
        else:
            raise outcome
    return results


async def _announce(service: Service, answers: Sequence[FreshAnswer]) -> None:
    """Queue what there is to tell. An answer waits for that write, and not for long."""
    if messages := service.announcer.worth_telling(answers):
        queued = asyncio.ensure_future(run_in_threadpool(service.announcer.put, messages))
        await asyncio.wait([queued], timeout=_QUEUEING_SECONDS)


async def _search(
    service: Service, embedded: Sequence[Embedded], question: Question
) -> list[FreshAnswer]:
    if not embedded:
        return []
    searches = [begin_asking(service.serving.searches, each, question) for each in embedded]
    try:
        found = await asyncio.gather(*map(asyncio.wrap_future, searches))
    finally:
        for search in searches:  # one failed or nobody waits any more: drop what has not begun
            search.cancel()
    answers = [
        answered(item, each, service.metrics) for item, each in zip(embedded, found, strict=True)
    ]
    if any(map(comes_to_be_recognised, answers)):
        answers = await run_in_threadpool(recognise, service.catalog, answers, question.collections)
    if question.reach is None:
        return answers
    seen = {
        generation: await run_in_threadpool(service.numbering.shown, generation, question.reach)
        for generation in {each.attribution.index_generation for each in answers}
    }
    return [each.seen_as(seen[each.attribution.index_generation]) for each in answers]


async def _explained(service: Service, found: FreshAnswer) -> FreshAnswer | Exception:
    """An answer with its maps, or why it has none; a source deleted meanwhile has no map.

    The forward passes wait behind those of queries: two, one for each source explained, and those
    of the query's variants.
    """
    started = time.perf_counter()
    wanted = sources_to_explain(found.attribution)
    previewed = await run_in_threadpool(read_previews, service.catalog, wanted)
    turned = found.attribution.turned
    views = await run_in_threadpool(views_of_query, found.query.image, turned)
    embedder, rows = service.serving.embedder, None
    try:
        vectors = await embedder.patches([*views, *(each.image for each in previewed)])
        if previewed:
            variants = await run_in_threadpool(variants_of_query, found.query, turned)
            rows = await embedder.variants(variants)
    except (InferenceError, BatcherClosedError) as error:
        return error
    explained = await run_in_threadpool(_draw, service, vectors, previewed, rows, turned)
    timings = replace(found.timings, explain=time.perf_counter() - started)
    return replace(found, explained=explained, timings=timings)


def _draw(
    service: Service,
    vectors: NDArray[np.float32],
    previewed: Sequence[Previewed],
    rows: NDArray[np.float32] | None,
    turned: Turn,
) -> Explained:
    views = len(vectors) - len(previewed)
    ranked, attributor = [each.ranked for each in previewed], service.serving.attributor
    borne = None
    if rows is not None:
        ids = np.array([each.source.vector_id for each in ranked], np.int64)
        borne = evidence(attributor.scores_with(rows, ids))
    blocks = attributor.encoder.patch_blocks
    explained = explain(vectors[:views], ranked, vectors[views:], blocks, borne)
    return Explained.of(explained.turned(turned))

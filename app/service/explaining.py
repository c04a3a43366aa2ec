"""Where an answered image resembles its sources: previews in, maps out, a few passes a query."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool

from app.answers import Explained
from app.inference.embedder import Embedded
from app.service.service import Service
from attribution.answer import Attribution
from attribution.explanation import (
    explain,
    read_previews,
    sources_to_explain,
    views_of_query,
)


async def explained(service: Service, embedded: Embedded, attribution: Attribution) -> Explained:
    """Draw the maps of one answer; a source that was deleted meanwhile has none.

    The forward passes, two and one for each source explained, wait behind those of queries.

    Raises:
        InferenceError: the encoder failed on one of the pictures.
        BatcherClosedError: the service is stopping.
    """
    started = time.perf_counter()
    wanted = sources_to_explain(attribution)
    previewed = await run_in_threadpool(read_previews, service.catalog, wanted)
    views = await run_in_threadpool(views_of_query, embedded.decoded.image)
    vectors = await service.serving.embedder.patches([*views, *(each.image for each in previewed)])
    explanation = await run_in_threadpool(
        explain,
        vectors[: len(views)],
        [each.ranked for each in previewed],
        vectors[len(views) :],
        service.serving.attributor.encoder.patch_blocks,
    )
    return Explained(explanation, time.perf_counter() - started)

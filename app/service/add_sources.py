"""Images in, sources out: decode, embed, and add to the catalog in one short transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from app.encoders.live import Live
from app.inference.batcher import BatcherClosedError, InferenceError
from app.inference.embedder import Embedded
from app.inference.upload import Upload
from app.requests.disconnects import too_late
from app.schemas.source import SourceMetadata
from app.service.service import Service
from attribution.catalog import (
    ActiveEncoderLeftOut,
    Added,
    InvalidField,
    NewSource,
    SourceTakenDown,
)
from models.images.previews import make_preview

logger = logging.getLogger(__name__)

Rows = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An image that someone wants held, with what is known of it."""

    upload: Upload
    known: SourceMetadata


@dataclass(frozen=True, slots=True)
class Intake:
    """One outcome for each arrival in order, and the write that queries can wait for."""

    outcomes: tuple[Added | Exception, ...]
    generation: int


async def add_sources(service: Service, arrivals: Sequence[Arrival], collection: str) -> Intake:
    """Add every image that can be added to `collection`; the others say why not.

    Raises:
        CollectionNotFound: before any work is done.
        ActiveEncoderLeftOut: the catalog's active encoder cannot be loaded here.
        Problem: 503 `overloaded` when it takes too long; nothing is added.
    """
    await run_in_threadpool(service.catalog.collection, collection)
    deadline = asyncio.get_running_loop().time() + service.settings.answer_seconds
    try:
        return await _add_sources(service, arrivals, collection, deadline)
    except ActiveEncoderLeftOut:
        # Activated since this service last looked: look now, and begin again with what it says.
        await _look_for_encoders(service, deadline)
        return await _add_sources(service.pinned(), arrivals, collection, deadline)


async def _look_for_encoders(service: Service, deadline: float) -> None:
    """Have what the catalog registers loaded, which takes as long as a model does to load.

    Whoever else waits for it does so without a thread: queries need those.
    """
    try:
        async with asyncio.timeout_at(deadline):
            await anyio.to_thread.run_sync(service.switch.load, limiter=service.looking)
    except TimeoutError:
        raise too_late(service.settings.answer_seconds) from None


async def _add_sources(
    service: Service, arrivals: Sequence[Arrival], collection: str, deadline: float
) -> Intake:
    try:
        # Only this is given up: once written, a source is there, and its sender is told so.
        async with asyncio.timeout_at(deadline):
            embedded = await asyncio.gather(
                *(
                    service.serving.embedder.embed(arrival.upload, domain="source")
                    for arrival in arrivals
                ),
                return_exceptions=True,
            )
            others = await asyncio.gather(
                *(rows_of_others(service.live(), item) for item in embedded)
            )
    except TimeoutError:
        raise too_late(service.settings.answer_seconds) from None
    return await run_in_threadpool(_add, service, arrivals, embedded, others, collection)


async def rows_of_others(live: Live, item: Embedded | BaseException) -> Rows:
    """The rows of an image under further encoders; one that fails gives none, and is logged.

    The source is added all the same: it lacks that row until `attribution reembed` is run again.
    """
    if not isinstance(item, Embedded):
        return {}
    rows: Rows = {}
    for model_id, embedder in live.companions.items():
        try:
            rows[model_id] = await embedder.embed_again(item.decoded, domain="source")
        except (InferenceError, BatcherClosedError) as error:
            logger.warning("a source has no row of encoder %s: %s", model_id, error)
    return rows


def _add(
    service: Service,
    arrivals: Sequence[Arrival],
    embedded: Sequence[Embedded | BaseException],
    others: Sequence[Rows],
    collection: str,
) -> Intake:
    outcomes: dict[int, Added | Exception] = {}
    ready: dict[int, NewSource] = {}
    for position, (arrival, item) in enumerate(zip(arrivals, embedded, strict=True)):
        if isinstance(item, Embedded):
            ready[position] = _new_source(arrival, item, others[position], collection)
        elif isinstance(item, Exception):
            outcomes[position] = item
        else:
            raise item
    generation = _write(service, ready, outcomes)
    service.apply_writes()
    return Intake(tuple(outcomes[position] for position in range(len(arrivals))), generation)


def _write(
    service: Service, ready: dict[int, NewSource], outcomes: dict[int, Added | Exception]
) -> int:
    """Add all at once; where one of them cannot be stored, each alone."""
    if not ready:
        return service.catalog.generation()
    try:
        batch = service.catalog.add(service.serving.model_id, list(ready.values()))
    except (InvalidField, SourceTakenDown) as error:
        if len(ready) == 1:
            outcomes[next(iter(ready))] = error
            return service.catalog.generation()
        return max(_write(service, {at: source}, outcomes) for at, source in ready.items())
    outcomes.update(zip(ready, batch.items, strict=True))
    return batch.generation


def _new_source(arrival: Arrival, embedded: Embedded, others: Rows, collection: str) -> NewSource:
    decoded, known = embedded.decoded, arrival.known
    return NewSource(
        collection=collection,
        sha256=decoded.sha256,
        width=decoded.width,
        height=decoded.height,
        format=decoded.format,
        uri=known.uri if known.uri is not None else arrival.upload.filename,
        title=known.title,
        creator=known.creator,
        licence=known.licence,
        metadata=known.metadata,
        embedding=embedded.embedding,
        preview=make_preview(decoded.image),
        others=others,
    )

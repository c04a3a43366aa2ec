"""Images in, sources out: decode, embed, and add to the catalog in one short transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from app.encoders.live import Live
from app.inference.embedder import Embedded
from app.inference.upload import Upload
from app.requests.disconnects import too_late
from app.schemas.source import SourceMetadata
from app.service.service import Service
from attribution.catalog import ActiveEncoderLeftOut, NewSource
from attribution.ingestion.adding import Intake, add_each, new_source
from attribution.ingestion.companions import keeping_no_source_out
from attribution.ingestion.embedded import Embedded as Said
from attribution.ingestion.embedded import embedded_reader, filled
from models.images.previews import make_preview

RowsByEncoder = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An image that someone wants held, with what is known of it."""

    upload: Upload
    known: SourceMetadata


async def add_sources(service: Service, arrivals: Sequence[Arrival], collection: str) -> Intake:
    """Add every image that can be added to `collection`; the others say why not.

    Raises:
        CollectionNotFound: it was deleted meanwhile.
        ActiveEncoderLeftOut: the catalog's active encoder cannot be loaded here.
        Problem: 503 `overloaded` when it takes too long; nothing is added.
    """
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
            embedder = service.serving.embedder
            gathered = await asyncio.gather(
                *(embedder.embed(arrival.upload, domain="source") for arrival in arrivals),
                return_exceptions=True,
            )
            embedded = [_ordinary(item) for item in gathered]
            others = await asyncio.gather(
                *(_rows_of_others(service.live(), item) for item in embedded)
            )
    except TimeoutError:
        raise too_late(service.settings.answer_seconds) from None
    return await run_in_threadpool(_add, service, arrivals, embedded, others, collection)


def _ordinary(item: Embedded | BaseException) -> Embedded | Exception:
    """An image, or what is wrong with it; what ends more than this image is raised."""
    if isinstance(item, Embedded | Exception):
        return item
    raise item


async def _rows_of_others(live: Live, item: Embedded | Exception) -> RowsByEncoder:
    """The rows of an image under further encoders, as far as those work."""
    rows: RowsByEncoder = {}
    if isinstance(item, Embedded):
        for model_id, embedder in live.companions.items():
            with keeping_no_source_out(model_id):
                rows[model_id] = await embedder.embed_again(item.decoded, domain="source")
    return rows


def _add(
    service: Service,
    arrivals: Sequence[Arrival],
    embedded: Sequence[Embedded | Exception],
    others: Sequence[RowsByEncoder],
    collection: str,
) -> Intake:
    said_in = embedded_reader(None if service.settings.embedded_metadata else False)
    sources = [
        _new_source(arrival, item, rows, collection, said_in)
        for arrival, item, rows in zip(arrivals, embedded, others, strict=True)
        if isinstance(item, Embedded)
    ]
    added = add_each(service.catalog, service.serving.model_id, sources)
    service.apply_writes()
    outcomes = iter(added.outcomes)
    return Intake(
        tuple(next(outcomes) if isinstance(item, Embedded) else item for item in embedded),
        added.generation,
    )


def _new_source(
    arrival: Arrival,
    embedded: Embedded,
    others: RowsByEncoder,
    collection: str,
    said_in: Callable[[bytes], Said] | None,
) -> NewSource:
    stated = arrival.known.model_dump()
    if stated["uri"] is None:
        stated["uri"] = arrival.upload.filename
    if said_in is not None:
        stated = filled(stated, said_in(arrival.upload.read(max_bytes=arrival.upload.size)))
    return new_source(
        embedded.decoded,
        stated,
        collection=collection,
        preview=make_preview(embedded.decoded.image),
        embedding=embedded.embedding,
        others=others,
    )

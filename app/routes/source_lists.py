"""`/v1/sources/batch`, `/delete` and `/export`: many sources in one request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.requests.disconnects import unless_disconnected
from app.requests.negotiation import NO_PARAMETERS, TAKES_JSON
from app.requests.uploads import several_images
from app.routes.metadata import METADATA_OF_MANY, read_metadata_list
from app.routes.openapi import image_problems, json_lines, json_problems, many_images, problems
from app.routes.sources import NOT_OFF_THE_DISK, deleted_sources, source_filter
from app.routes.streaming import streamed
from app.schemas.problem import ProblemDocument
from app.schemas.source import (
    AddedBatch,
    AddedItem,
    AddParameters,
    DeletedSources,
    DeleteSources,
    RefusedItem,
    SourceDocument,
    SourceParameters,
)
from app.service.add_sources import Arrival, add_sources
from app.service.reach import Holdings, HoldingsDependency
from app.service.service import ServiceDependency
from app.telemetry.request_id import request_id_of
from attribution.catalog import Added, Source, SourceFilter

router = APIRouter(prefix="/v1/sources", tags=["sources"])

_EXPORT_PAGE = 500


@router.post(
    "/batch",
    operation_id="add_sources",
    summary="Add several sources",
    responses=image_problems("collection-not-found", "too-many-images"),
    openapi_extra=many_images(metadata=METADATA_OF_MANY),
)
async def add_source_batch(
    request: Request,
    parameters: Annotated[AddParameters, Query()],
    service: ServiceDependency,
    holdings: HoldingsDependency,
) -> AddedBatch:
    """Add each image of the repeated multipart field `files`, and answer in their order.

    An image that cannot be added gets its own problem; the others are not affected.
    """
    await run_in_threadpool(holdings.collection, parameters.collection)
    limit = service.settings.max_batch_images
    with service.slots.take(1) as slots:
        async with several_images(request, limit=limit, fields=("metadata",)) as form:
            slots.grow(len(form.uploads))
            known = read_metadata_list(form.metadata, count=len(form.uploads))
            arrivals = [Arrival(*pair) for pair in zip(form.uploads, known, strict=True)]
            work = add_sources(service, arrivals, parameters.collection)
            intake = await unless_disconnected(request, work)
    request_id = request_id_of(request.scope)
    names = [arrival.upload.filename for arrival in arrivals]
    return AddedBatch(
        items=[
            _item(index, name, outcome, request_id)
            for index, (name, outcome) in enumerate(zip(names, intake.outcomes, strict=True))
        ],
        generation=await run_in_threadpool(holdings.shown, intake.generation),
    )


@router.post(
    "/delete",
    summary="Delete sources by id or by sha256",
    dependencies=[NO_PARAMETERS, TAKES_JSON],
    responses={**NOT_OFF_THE_DISK, **json_problems()},
)
def delete_sources(
    body: DeleteSources, holdings: HoldingsDependency, response: Response
) -> DeletedSources:
    """Delete up to 1,000 sources by id, or by the digest of their bytes in every collection.

    They are in no answer from now on. What names nothing comes back in `missing`. A takedown also
    deletes what has the same bytes elsewhere, and refuses these bytes from now on.
    """
    ids, digests = body.source_ids, body.sha256s
    if body.takedown:
        taken = holdings.take_down(source_ids=ids, sha256s=digests, reason=body.reason or "")
        return deleted_sources(taken, response, taken_down=taken.sha256s)
    return deleted_sources(holdings.delete(source_ids=ids, sha256s=digests), response)


@router.get(
    "/export",
    summary="Export sources as a manifest",
    response_class=StreamingResponse,
    responses={200: json_lines("One JSON object a line"), **problems()},
)
def export_sources(
    parameters: Annotated[SourceParameters, Query()], holdings: HoldingsDependency
) -> StreamingResponse:
    """Write every source as a line of a manifest, which `attribution ingest` reads."""
    return streamed(_rows(holdings, source_filter(parameters)))


def _rows(holdings: Holdings, where: SourceFilter) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = holdings.sources(where, limit=_EXPORT_PAGE, cursor=cursor)
        yield "".join(json.dumps(_row(source), ensure_ascii=False) + "\n" for source in page.items)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def _row(source: Source) -> dict[str, Any]:
    row = {
        # A manifest needs a path. Where the file is, only its owner knows; the uri is what it was
        # called when it came.
        "path": source.uri or source.source_id,
        "uri": source.uri,
        "title": source.title,
        "creator": source.creator,
        "licence": source.licence,
        "collection": source.collection,
        "metadata": dict(source.metadata),
    }
    return {key: value for key, value in row.items() if value is not None}


def _item(
    index: int, filename: str | None, outcome: Added | Exception, request_id: str
) -> AddedItem | RefusedItem:
    if isinstance(outcome, Exception):
        problem = ProblemDocument.of(outcome, request_id=request_id)
        return RefusedItem(index=index, filename=filename, problem=problem)
    return AddedItem(
        index=index,
        filename=filename,
        source=SourceDocument.of(outcome.source),
        created=outcome.created,
    )

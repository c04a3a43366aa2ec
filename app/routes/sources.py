"""`/v1/sources`: one source at a time, and the list of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from PIL import Image
from starlette.concurrency import run_in_threadpool

from app.addresses import address
from app.problems.problem import Problem
from app.requests import conditional
from app.requests.conditional import EntityTag
from app.requests.disconnects import unless_disconnected
from app.requests.negotiation import NO_PARAMETERS, TAKES_JSON
from app.requests.uploads import single_image
from app.routes.metadata import METADATA_OF_ONE, read_metadata
from app.routes.openapi import (
    BINARY,
    Responses,
    image_problems,
    json_problems,
    one_image,
    problems,
)
from app.schemas.source import (
    AddedSource,
    AddParameters,
    DeletedSources,
    ListParameters,
    SourceCodesDocument,
    SourceDocument,
    SourcePage,
    SourceParameters,
    SourcePatch,
    ThumbnailParameters,
)
from app.service import one_source
from app.service.add_sources import Arrival, add_sources
from app.service.reach import HoldingsDependency
from app.service.service import ServiceDependency
from attribution.catalog import Deleted, Source, SourceFilter, SourceNotFound
from attribution.iscc import codes_of

router = APIRouter(prefix="/v1/sources", tags=["sources"])

SourceId = Annotated[str, Path(description="Id of a source.", max_length=64)]
IfMatch = Annotated[
    str | None,
    Header(description="ETag that the source must still have, else 412.", max_length=1024),
]
IfNoneMatch = Annotated[str | None, Header(description="ETags already held.", max_length=1024)]
NOT_OFF_THE_DISK: Responses = {
    202: {"model": DeletedSources, "description": "Deleted, and not off the disk yet"}
}
_ENTITY_TAG = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}


@router.post(
    "",
    summary="Add a source",
    status_code=201,
    responses={
        200: {"model": AddedSource, "description": "Unchanged: the collection has these bytes"},
        **image_problems("collection-not-found", "source-taken-down"),
    },
    openapi_extra=one_image(metadata=METADATA_OF_ONE),
)
async def add_source(
    request: Request,
    response: Response,
    parameters: Annotated[AddParameters, Query()],
    service: ServiceDependency,
    holdings: HoldingsDependency,
) -> AddedSource:
    """Add an image to a collection.

    Send the image as multipart field `file`, with what is known of it as JSON in `metadata`; or
    send the image itself as the body. A collection holds the same bytes once.
    """
    await run_in_threadpool(holdings.collection, parameters.collection)
    with service.slots.take(1):
        async with single_image(request, fields=("metadata",)) as form:
            known = read_metadata(form.metadata)
            work = add_sources(service, [Arrival(form.uploads[0], known)], parameters.collection)
            intake = await unless_disconnected(request, work)
    [outcome] = intake.outcomes
    if isinstance(outcome, Exception):
        raise outcome
    response.status_code = 201 if outcome.created else 200
    response.headers["ETag"] = str(entity_tag(outcome.source))
    response.headers["Location"] = address(f"/v1/sources/{outcome.source.source_id}")
    return AddedSource(
        source=SourceDocument.of(outcome.source),
        created=outcome.created,
        generation=await run_in_threadpool(holdings.shown, intake.generation),
    )


@router.get("", summary="List sources", responses=problems())
def list_sources(
    parameters: Annotated[ListParameters, Query()], holdings: HoldingsDependency
) -> SourcePage:
    """List sources in order of addition, or the newest first; every filter given must hold.

    Keep the filters and the order from page to page.
    """
    page = holdings.sources(
        source_filter(parameters),
        limit=parameters.limit,
        cursor=parameters.cursor,
        order=parameters.order,
    )
    return SourcePage(
        items=[SourceDocument.of(source) for source in page.items], next_cursor=page.next_cursor
    )


@router.get(
    "/{source_id}",
    summary="Show a source",
    dependencies=[NO_PARAMETERS],
    responses={200: {"headers": _ENTITY_TAG}, **problems("source-not-found")},
)
def get_source(
    source_id: SourceId, response: Response, holdings: HoldingsDependency
) -> SourceDocument:
    """Show one source; its ETag is what PATCH takes in If-Match."""
    source = holdings.source(source_id)
    response.headers["ETag"] = str(entity_tag(source))
    return SourceDocument.of(source)


@router.patch(
    "/{source_id}",
    summary="Change what is said about a source",
    dependencies=[NO_PARAMETERS, TAKES_JSON],
    responses={
        200: {"headers": _ENTITY_TAG},
        **json_problems("source-not-found", "revision-mismatch"),
    },
)
def update_source(
    source_id: SourceId,
    patch: SourcePatch,
    response: Response,
    holdings: HoldingsDependency,
    if_match: IfMatch = None,
) -> SourceDocument:
    """Change what is known of a source by a merge patch: null deletes, what is left out stays."""
    source = one_source.patch_source(
        holdings, source_id, patch.model_dump(exclude_unset=True), _meant(if_match)
    )
    response.headers["ETag"] = str(entity_tag(source))
    return SourceDocument.of(source)


@router.delete(
    "/{source_id}",
    summary="Delete a source",
    dependencies=[NO_PARAMETERS],
    responses={**NOT_OFF_THE_DISK, **problems("source-not-found", "revision-mismatch")},
)
def delete_source(
    source_id: SourceId,
    holdings: HoldingsDependency,
    response: Response,
    if_match: IfMatch = None,
) -> DeletedSources:
    """Delete a source; it is in no answer from now on."""
    deleted = one_source.delete_source(holdings, source_id, _meant(if_match))
    if not deleted.source_ids:
        raise SourceNotFound(source_id)
    return deleted_sources(deleted, response)


@router.get(
    "/{source_id}/thumbnail",
    summary="A small picture of a source",
    response_class=Response,
    responses={
        200: {
            "description": "A JPEG",
            "content": {"image/jpeg": {"schema": BINARY}},
        },
        304: {"description": "Not modified"},
        **problems("source-not-found", "preview-missing"),
    },
)
def get_thumbnail(
    source_id: SourceId,
    parameters: Annotated[ThumbnailParameters, Query()],
    holdings: HoldingsDependency,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show a source as a small JPEG without metadata."""
    source = holdings.source(source_id)
    tag = EntityTag(f"{source.sha256[:24]}-{parameters.size}")
    headers = {"ETag": str(tag), "Cache-Control": "private, no-cache"}
    if if_none_match is not None and not conditional.if_none_match(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    data = thumbnail(holdings.preview(source_id), parameters.size)
    return Response(data, media_type="image/jpeg", headers=headers)


@router.get(
    "/{source_id}/iscc",
    summary="The content codes of a source",
    responses=problems("source-not-found", "preview-missing", "iscc-unavailable"),
)
def get_source_codes(source_id: SourceId, holdings: HoldingsDependency) -> SourceCodesDocument:
    """Make International Standard Content Codes (ISO 24138) of what is held of a source."""
    source = holdings.source(source_id)
    try:
        codes = codes_of(holdings.preview(source_id), source.title)
    except ImportError as error:
        raise Problem("iscc-unavailable") from error
    return SourceCodesDocument(content_code=codes.content, meta_code=codes.meta)


def _meant(if_match: str | None) -> one_source.Allowed:
    """Which revisions of a source a caller means."""
    if if_match is None:
        return None
    return lambda source: conditional.if_match(if_match, entity_tag(source))


def deleted_sources(
    deleted: Deleted, response: Response, taken_down: Sequence[str] = ()
) -> DeletedSources:
    """What a deletion did, as the API shows it; accepted, and not done, while bytes remain."""
    if deleted.remaining:
        response.status_code = 202
    return DeletedSources(**asdict(deleted), taken_down=list(taken_down))


def source_filter(parameters: SourceParameters) -> SourceFilter:
    """The catalog's filter for these query parameters."""
    return SourceFilter(
        collections=frozenset(parameters.collection) or None,
        sha256=parameters.sha256,
        uri=parameters.uri,
        creator=parameters.creator,
        licence=parameters.licence,
        text=parameters.text,
        created_from=parameters.created_from,
        created_before=parameters.created_before,
        copies=parameters.copies,
    )


def thumbnail(preview: bytes, size: int) -> bytes:
    """A preview, reduced to at most `size` pixels on the long side; JPEG bytes."""
    with Image.open(io.BytesIO(preview), formats=["JPEG"]) as image:
        if max(image.size) <= size:
            return preview
        image.thumbnail((size, size), Image.Resampling.LANCZOS)
        written = io.BytesIO()
        image.save(written, "JPEG", quality=85)
    return written.getvalue()


def entity_tag(source: Source) -> EntityTag:
    """The ETag of a source: its revision."""
    return EntityTag(str(source.revision))

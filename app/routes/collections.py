"""`/v1/collections`: named sets of sources."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app.requests.negotiation import NO_PARAMETERS, TAKES_JSON
from app.routes.openapi import json_problems, problems
from app.schemas.collection import (
    CollectionDocument,
    CollectionPage,
    DeletedCollection,
    PutCollection,
)
from app.schemas.text import CollectionName
from app.service.reach import HoldingsDependency

router = APIRouter(prefix="/v1/collections", tags=["collections"], dependencies=[NO_PARAMETERS])

Name = Annotated[CollectionName, Path(description="Name of a collection.")]


@router.get("", summary="List collections", responses=problems())
def list_collections(holdings: HoldingsDependency) -> CollectionPage:
    """List all collections that the caller may see, by name."""
    found = holdings.collections()
    return CollectionPage(items=[CollectionDocument.of(item) for item in found], next_cursor=None)


@router.get("/{name}", summary="Show a collection", responses=problems("collection-not-found"))
def get_collection(name: Name, holdings: HoldingsDependency) -> CollectionDocument:
    """Show one collection."""
    return CollectionDocument.of(holdings.collection(name))


@router.put(
    "/{name}",
    summary="Make or describe a collection",
    dependencies=[TAKES_JSON],
    responses={
        201: {"model": CollectionDocument, "description": "Created"},
        **json_problems("collection-not-found"),
    },
)
def put_collection(
    name: Name,
    holdings: HoldingsDependency,
    response: Response,
    body: PutCollection | None = None,
) -> CollectionDocument:
    """Make a collection, or replace the description of an existing one."""
    put = holdings.put_collection(name, "" if body is None else body.description)
    response.status_code = 201 if put.created else 200
    return CollectionDocument.of(put.collection)


@router.delete(
    "/{name}",
    summary="Delete a collection and its sources",
    responses={
        202: {"model": DeletedCollection, "description": "Deleted, and not off the disk yet"},
        **problems("collection-not-found", "collection-protected"),
    },
)
def delete_collection(
    name: Name, holdings: HoldingsDependency, response: Response
) -> DeletedCollection:
    """Delete a collection with all its sources; they are in no answer from now on."""
    deleted = holdings.delete_collection(name)
    if deleted.remaining:
        response.status_code = 202
    return DeletedCollection(
        deleted=len(deleted.source_ids),
        generation=deleted.generation,
        remaining=list(deleted.remaining),
    )

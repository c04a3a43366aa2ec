"""Collections: named sets of sources."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from attribution.catalog import Collection

EXAMPLE: dict[str, Any] = {
    "name": "artists",
    "description": "The roster of 2026",
    "sources": 1200,
    "created_at": "2026-01-01T12:00:00Z",
}


class CollectionDocument(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """A named set of sources."""

    name: str
    description: str
    sources: int = Field(description="How many it holds.")
    created_at: datetime

    @classmethod
    def of(cls, collection: Collection) -> CollectionDocument:
        """A collection of the catalog."""
        return cls(**asdict(collection))


class CollectionPage(BaseModel):
    """All collections, by name."""

    items: list[CollectionDocument]
    next_cursor: str | None


class PutCollection(BaseModel):
    """What a collection is for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"description": "The roster of 2026"}]}
    )

    description: str = Field(default="", max_length=2048)


class DeletedCollection(BaseModel):
    """What deleting a collection did."""

    deleted: int = Field(description="Sources that went with it.")
    generation: int
    remaining: list[str] = Field(
        default=[],
        description="Files of these sources that could not be removed yet (status 202), in the "
        "data folder. It is tried again until they are gone; /readyz tells while they are not.",
    )

"""Sources as they are sent, changed, listed and deleted."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from app.schemas.opt_out import OptOutDocument
from app.schemas.problem import ProblemDocument
from app.schemas.text import (
    CollectionName,
    Moment,
    Sha256,
    SoughtText,
    SoughtUri,
    SourceId,
    Text,
    Uri,
)
from app.schemas.thumbnail import thumbnail_url
from attribution.catalog import Order, Source

EXAMPLE: dict[str, Any] = {
    "source_id": "src_4k7q2mzv5hx3nw6ty2ab",
    "collection": "default",
    "sha256": "9f86d081" * 8,
    "uri": "photos/lighthouse.jpg",
    "title": "Lighthouse at dusk",
    "creator": "A. Photographer",
    "licence": "CC-BY-4.0",
    "metadata": {"camera": "X100"},
    "width": 1024,
    "height": 768,
    "format": "jpeg",
    "created_at": "2026-01-01T12:00:00Z",
    "updated_at": "2026-01-01T12:00:00Z",
    "revision": 1,
    "thumbnail_url": "/v1/sources/src_4k7q2mzv5hx3nw6ty2ab/thumbnail",
}

EXAMPLE_CODES = {"content_code": "ISCC:EEA77YGCY6AWL2LA", "meta_code": "ISCC:AAAWN77F73NA44D6"}


class SourceMetadata(BaseModel, extra="forbid"):
    """What is known of a new source."""

    uri: Uri | None = Field(
        default=None, description="Comes back unchanged in answers; unset: the file's name."
    )
    title: Text | None = None
    creator: Text | None = None
    licence: Text | None = None
    metadata: dict[str, JsonValue] = Field(default={}, description="Any JSON object, 16 KiB.")


class SourcePatch(BaseModel):
    """A merge patch (RFC 7396): what is left out stays, null deletes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "Lighthouse", "metadata": {"camera": None}}]},
    )

    uri: Uri | None = None
    title: Text | None = None
    creator: Text | None = None
    licence: Text | None = None
    metadata: dict[str, JsonValue] | None = None


class SourceDocument(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """An image the operator holds."""

    source_id: str
    collection: str
    sha256: str
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    metadata: dict[str, Any]
    opt_out: OptOutDocument | None = Field(
        default=None,
        description="What `metadata` say about training on it; null where they say nothing.",
    )
    width: int
    height: int
    format: str
    created_at: datetime
    updated_at: datetime
    revision: int = Field(description="Grows with every change; also the ETag.")
    thumbnail_url: str

    @classmethod
    def of(cls, source: Source) -> SourceDocument:
        """A source of the catalog."""
        return cls(
            **asdict(source),
            opt_out=OptOutDocument.of(source.metadata),
            thumbnail_url=thumbnail_url(source.source_id),
        )


class AddedSource(BaseModel):
    """A source after POST, with the write that queries can wait for."""

    source: SourceDocument
    created: bool = Field(description="false: the collection held these bytes; nothing changed.")
    generation: int = Field(description="Ask for it as `min_generation`.")


class AddedItem(BaseModel):
    """An image of a batch that is held now."""

    index: int
    filename: str | None
    source: SourceDocument
    created: bool


class RefusedItem(BaseModel):
    """An image of a batch that was not added."""

    index: int
    filename: str | None
    problem: ProblemDocument


class AddedBatch(BaseModel):
    """One item for each image sent, in the order sent."""

    items: list[AddedItem | RefusedItem]
    generation: int = Field(description="Ask for it as `min_generation`.")


class SourcePage(BaseModel):
    """Some sources, in the order asked for."""

    items: list[SourceDocument]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class SourceParameters(BaseModel, extra="forbid"):
    """Filters: each that is given must hold."""

    collection: list[CollectionName] = Field(
        default=[], max_length=100, description="Repeat it for several; unset: all."
    )
    sha256: Sha256 | None = None
    uri: SoughtUri | None = Field(default=None, description="Must match exactly, as the two below.")
    creator: SoughtText | None = None
    licence: SoughtText | None = None
    text: SoughtText | None = Field(
        default=None,
        min_length=1,
        description="A part of the title, the creator, the uri or the licence, the case of a to z "
        "aside; or a whole id or sha256.",
    )
    created_from: Moment | None = Field(
        default=None, description="Added at this moment or later; with its zone."
    )
    created_before: Moment | None = Field(
        default=None, description="Added before this moment; with its zone."
    )
    copies: bool = Field(
        default=False,
        description="Only those whose bytes another source has too, in the collections listed.",
    )


class ListParameters(SourceParameters):
    """Filters and the page to show."""

    order: Order = Field(default="oldest", description="Which come first.")
    limit: int = Field(default=100, ge=1, le=1000, description="Sources a page.")
    cursor: str | None = Field(
        default=None, max_length=256, description="`next_cursor` of the page before."
    )


class AddParameters(BaseModel, extra="forbid"):
    """Where new sources go."""

    collection: CollectionName = Field(default="default", description="It must exist.")


class SourceCodesDocument(BaseModel, json_schema_extra={"examples": [EXAMPLE_CODES]}):
    """International Standard Content Codes; similar pictures have similar ones."""

    content_code: str = Field(
        description="Image-Code, 64 bits, of the preview that is held: within a few bits of that "
        "of the file."
    )
    meta_code: str | None = Field(description="Meta-Code of the title; null without one.")


class ThumbnailParameters(BaseModel, extra="forbid"):
    """How large a thumbnail."""

    size: int = Field(default=256, ge=64, le=512, description="Pixels on the long side, at most.")


class DeleteSources(BaseModel):
    """Which sources to delete: one of the two lists; and whether they may never come back."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"source_ids": ["src_4k7q2mzv5hx3nw6ty2ab"]},
                {"sha256s": ["9f86d081" * 8], "takedown": True, "reason": "court order 12/345"},
            ],
            "oneOf": [{"required": ["source_ids"]}, {"required": ["sha256s"]}],
        },
    )

    source_ids: list[SourceId] = Field(default=[], min_length=1, max_length=1000)
    sha256s: list[Sha256] = Field(
        default=[], min_length=1, max_length=1000, description="In every collection."
    )
    takedown: bool = Field(
        default=False,
        description="Delete every source with these bytes, in all collections, refuse the bytes "
        "from now on, and leave none of them on the disk.",
    )
    reason: str | None = Field(
        default=None, min_length=1, max_length=512, description="Of a takedown; kept with it."
    )

    @model_validator(mode="after")
    def _one_list(self) -> DeleteSources:
        if len(self.model_fields_set & {"source_ids", "sha256s"}) != 1:
            raise ValueError("send source_ids or sha256s, one of the two")
        return self

    @model_validator(mode="after")
    def _reason_of_a_takedown(self) -> DeleteSources:
        if self.takedown != (self.reason is not None):
            raise ValueError("a takedown needs a reason, and only a takedown has one")
        return self


class DeletedSources(BaseModel):
    """What a deletion did; it is in no answer from now on."""

    source_ids: list[str] = Field(description="Sources deleted.")
    missing: list[str] = Field(description="Ids or digests that named nothing.")
    generation: int
    taken_down: list[str] = Field(
        default=[], description="Digests that are refused from now on; empty but for a takedown."
    )
    remaining: list[str] = Field(
        default=[],
        description="Files of what was deleted that could not be removed yet (status 202), in the "
        "data folder. It is tried again until they are gone; /readyz tells while they are not.",
    )

"""What a report holds: the frozen form of one answer, the same in JSON, HTML and PDF. Renders none.

Everything that a reader needs years later is inside: the pictures, the digests, the figures and
the words that say what they mean. `docs/report.md` describes the JSON form.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from attribution.answer import Decision, Guarantee, Match

Base64 = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", min_length=4
    ),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


class Picture(_Frozen):
    """A small picture, inline."""

    media_type: Literal["image/jpeg", "image/png"]
    data: Base64

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return base64.b64decode(self.data)


class Service(_Frozen):
    """What made the report."""

    name: Literal["attribution"] = "attribution"
    version: str


class ReportedQuery(_Frozen):
    """The image that was asked about; the digest is of the file as it was sent.

    `notes` are sentences on what had to be decided for it to be seen; mostly there are none.
    """

    sha256: Sha256
    width: int
    height: int
    format: str
    thumbnail: Picture | None
    notes: tuple[str, ...] = ()


class Searched(_Frozen):
    """Among what was searched: these collections (null: all of them) after this write."""

    collections: tuple[str, ...] | None
    index_generation: int


class Method(_Frozen):
    """How the answer was found; `model_id` names weights, head and preprocessing exactly."""

    encoder: str
    model_id: str
    description: str


class ReportedCalibration(_Frozen):
    """What turned scores into p-values."""

    id: str | None
    state: Literal["fresh", "building", "missing"]


class ReportedMaps(_Frozen):
    """Where a source shows: PNGs to lay over the query and over the source, stretched to fit.

    They are drawn as they are: transparent where little resembles, opaque where much does.
    """

    query_png: Base64
    source_png: Base64


class ReportedRegion(_Frozen):
    """One colour of a region map: the rank of the source it stands for, null for none."""

    rank: int | None
    colour: Colour


class ReportedRegionMap(_Frozen):
    """Each part of the query in the colour of the source that it comes from.

    A PNG to lay over the query, stretched to fit; transparent where it comes from none.
    """

    png: Base64
    legend: tuple[ReportedRegion, ...]


class ReportedSource(_Frozen):
    """One ranked source, as the catalog knew it at the time."""

    rank: int
    source_id: str
    collection: str
    sha256: Sha256
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    score: float
    p_value: float | None
    share: float
    attributed: bool
    match: Match | None = None
    copies: tuple[str, ...] = ()
    thumbnail: Picture | None
    maps: ReportedMaps | None = None


class Signature(_Frozen):
    """An Ed25519 signature of the canonical form of everything else in the report.

    `public_key` and `value` are base64 of 32 and 64 bytes; `key_id` is the first 16 hex digits of
    the SHA-256 of the 32.
    """

    algorithm: Literal["Ed25519"] = "Ed25519"
    key_id: str
    public_key: Base64
    value: Base64


class Report(_Frozen):
    """One answer, as a document. Shares of `sources`, other and unattributed share sum to 1."""

    type: Literal["attribution-report"] = "attribution-report"
    version: Literal[1] = 1
    created_at: Instant
    request_id: str | None
    service: Service
    query: ReportedQuery
    searched: Searched
    method: Method
    decision: Decision | None
    p_value: float | None
    alpha: float
    guarantee: Guarantee = "average"
    calibration: ReportedCalibration
    other_share: float
    unattributed_share: float
    sources: tuple[ReportedSource, ...]
    region_map: ReportedRegionMap | None = None
    statement: tuple[str, ...] = Field(description="What the figures mean, in plain words.")
    signature: Signature | None = None

    @property
    def filename(self) -> str:
        """A name for its file, without the ending."""
        return f"attribution-{self.query.sha256[:12]}"

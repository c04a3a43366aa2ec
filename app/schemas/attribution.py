"""The answer to a query: who it came from, how sure that is, and what it took."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from app.schemas.credentials import CredentialsDocument
from app.schemas.explanation import HeatMap, RegionMap
from app.schemas.opt_out import OptOutDocument
from app.schemas.thumbnail import thumbnail_url
from app.settings import Guarantee
from models.images.notes import Code, Note, Turn

if TYPE_CHECKING:  # whoever only reads documents needs no network and no catalog
    from app.answers import FreshAnswer, KeptAnswer, QueryImage
    from app.inference import timings as stages
    from attribution import answer
    from models.images.decoding import DecodedImage

EXAMPLE_SOURCE: dict[str, Any] = {
    "rank": 1,
    "source_id": "src_4k7q2mzv5hx3nw6ty2ab",
    "collection": "default",
    "score": 11.4,
    "p_value": 0.0017,
    "share": 0.87,
    "attributed": True,
    "match": None,
    "uri": "photos/lighthouse.jpg",
    "title": "Lighthouse at dusk",
    "creator": "A. Photographer",
    "licence": "CC-BY-4.0",
    "thumbnail_url": "/v1/sources/src_4k7q2mzv5hx3nw6ty2ab/thumbnail",
}
EXAMPLE: dict[str, Any] = {
    "request_id": "req_5f0c2e9d7b1a4c3e8f60",
    "model_id": "21f5492dd484ee14",
    "index_generation": 5120,
    "decision": "attributed",
    "reason": None,
    "p_value": 0.0017,
    "alpha": 0.01,
    "guarantee": "average",
    "calibration": {"id": "2b7e51c09d3f.parts2-5c1d07aa", "state": "fresh"},
    "other_share": 0.08,
    "unattributed_share": 0.05,
    "sources": [EXAMPLE_SOURCE],
    "query": {
        "sha256": "9f86d081" * 8,
        "width": 1024,
        "height": 768,
        "format": "jpeg",
        "notes": [],
    },
    "timings_ms": {
        "decode": 6.1,
        "queue": 0.2,
        "encode": 21.4,
        "search": 3.9,
        "explain": None,
        "total": 33.0,
    },
}


class PromisedRecall(BaseModel):
    """What the length of the list promises."""

    rate: float = Field(
        description="Of images with a source held here, how many have one listed; not of all of "
        "an image's sources."
    )
    kinds: str = Field(description="Images that it was measured on; others may fare worse.")


class Calibration(BaseModel):
    """What turned scores into p-values and shares."""

    id: str | None = Field(
        description="Of the null and of the share model together; null without a null."
    )
    state: Literal["fresh", "building", "missing"] = Field(
        description="`missing`: too few background images, hence no p-value and no decision; "
        "`attribution calibrate --background FOLDER` adds some."
    )


class RankedSource(BaseModel):
    """A source listed in an answer. Whether the query came from it, `attributed` says."""

    rank: int
    source_id: str
    collection: str
    score: float = Field(description="Similarity to the query; says nothing on its own.")
    p_value: float | None = Field(
        description="Probability that a query without source scores as high anywhere."
    )
    share: float = Field(
        description="Probability that a true source of the query, drawn at random from all it has, "
        "is this one."
    )
    attributed: bool = Field(description="Whether the query is attributed to this source.")
    match: Literal["identical", "copy"] | None = Field(
        default=None,
        description="`identical`: the query is the very file. `copy`: an attributed source shows "
        "the same picture in another file. null: neither was seen.",
    )
    copies: list[str] = Field(
        default=[],
        description="Other sources, at most 100, that show the same picture; they count as this "
        "one and are not listed again.",
    )
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    opt_out: OptOutDocument | None = Field(
        default=None,
        description="What its metadata say about training on it; null where they say nothing.",
    )
    thumbnail_url: str
    heatmap: HeatMap | None = Field(
        default=None, description="With `explain` only, and not for every source listed."
    )

    @classmethod
    def of(cls, ranked: answer.RankedSource, heatmap: HeatMap | None) -> RankedSource:
        """A source as it was ranked, with its map where one was drawn."""
        source = ranked.source
        return cls(
            rank=ranked.rank,
            source_id=source.source_id,
            collection=source.collection,
            score=ranked.score,
            p_value=ranked.p_value,
            share=ranked.share,
            attributed=ranked.attributed,
            match=ranked.match,
            copies=[copy.source_id for copy in ranked.copies],
            uri=source.uri,
            title=source.title,
            creator=source.creator,
            licence=source.licence,
            opt_out=OptOutDocument.of(source.metadata),
            thumbnail_url=thumbnail_url(source.source_id),
            heatmap=heatmap,
        )


class QueryNote(BaseModel):
    """Something that had to be decided for the image to be seen."""

    code: Code
    detail: str

    @classmethod
    def of(cls, note: Note) -> QueryNote:
        """A note of the decoder."""
        return cls(code=note.code, detail=note.detail)


class Query(BaseModel):
    """The image that was asked about; nothing of it is kept."""

    sha256: str
    width: int
    height: int
    format: str
    notes: list[QueryNote] = Field(
        default=[],
        description="What had to be decided for it to be seen: the ground behind its transparency, "
        "the depth of its levels, which of its frames; and whether a picture that it frames was "
        "looked at besides.",
    )

    @classmethod
    def of(cls, image: DecodedImage | QueryImage) -> Query:
        """What is known of an image, at hand or gone."""
        return cls(
            sha256=image.sha256,
            width=image.width,
            height=image.height,
            format=image.format,
            notes=[QueryNote.of(note) for note in image.notes],
        )


class Timings(BaseModel):
    """Milliseconds of each stage, those of all images that shared it; two of them are waiting."""

    decode: float
    queue: float = Field(description="Waiting for the encoder.")
    encode: float
    search_queue: float = Field(default=0.0, description="Waiting for the search.")
    search: float
    explain: float | None = Field(default=None, description="null unless asked for.")
    total: float

    @classmethod
    def of(cls, timings: stages.Timings) -> Timings:
        """The seconds of an answer."""
        return cls(
            **{
                stage: None if seconds is None else round(seconds * 1000.0, 2)
                for stage, seconds in asdict(timings).items()
            }
        )


class AttributionDocument(
    BaseModel, json_schema_extra={"examples": [EXAMPLE]}, protected_namespaces=()
):
    """One image's attribution. Returned shares, other and unattributed share sum to 1."""

    request_id: str
    model_id: str
    index_generation: int = Field(description="The last write that this answer has seen.")
    decision: Literal["attributed", "no_source_found"] | None = Field(
        description="null while no calibration exists: then nothing is decided."
    )
    reason: Literal["nothing-held", "no-content"] | None = Field(
        default=None,
        description="`nothing-held`: what was searched holds no source, so that none could be "
        "found, whatever the image is. `no-content`: the image is of one colour, or nearly, so "
        "that there is nothing to compare and no source is claimed.",
    )
    p_value: float | None
    alpha: float
    guarantee: Guarantee = Field(
        default="average", description="What the p-values promise; see the parameter."
    )
    calibration: Calibration
    other_share: float = Field(
        description="Probability that a true source drawn at random is held but not listed here."
    )
    unattributed_share: float = Field(
        description="Probability that a true source drawn at random is not held at all."
    )
    sources: list[RankedSource] = Field(description="Always listed, whatever the decision.")
    background_likeness: float | None = Field(
        default=None,
        description="Part of the background's images that are no more ordinary than this image, "
        "by how alike it is to unrelated pictures in each respect. Small: unlike anything that "
        "p-values rest on. null where it is not known.",
    )
    unlike_background: bool = Field(
        default=False,
        description="Whether that is .01 or less: then p-values may not hold for this image.",
    )
    turned: Turn = Field(
        default=0,
        description="Degrees to the left by which the image is turned against the picture that "
        "the answer is about, where it was looked at `any_way_up`.",
    )
    recall: PromisedRecall | None = Field(default=None, description="Where it was asked for.")
    region_map: RegionMap | None = Field(default=None, description="With `explain` only.")
    query: Query
    credentials: CredentialsDocument | None = Field(
        default=None,
        description="What the image's own C2PA manifest says, beside the measurement and no part "
        "of it; null where it has none.",
    )
    timings_ms: Timings

    @classmethod
    def of(cls, answered: FreshAnswer | KeptAnswer, *, request_id: str) -> AttributionDocument:
        """An answer, whether it was just found or is read from the results of a job."""
        found, query, explained = answered.attribution, answered.query, answered.explained
        said = answered.credentials
        heat = {} if explained is None else HeatMap.of_sources(explained)
        return cls(
            request_id=request_id,
            model_id=found.model_id,
            index_generation=found.index_generation,
            decision=found.decision,
            reason=found.reason,
            p_value=found.p_value,
            alpha=found.alpha,
            guarantee=found.guarantee,
            calibration=Calibration(id=found.calibration.id, state=found.calibration.state),
            other_share=found.other_share,
            unattributed_share=found.unattributed_share,
            sources=[RankedSource.of(ranked, heat.get(ranked.rank)) for ranked in found.sources],
            background_likeness=found.likeness,
            unlike_background=found.unlike_background,
            turned=found.turned,
            recall=None
            if found.recall is None
            else PromisedRecall(rate=found.recall.rate, kinds=found.recall.kinds),
            region_map=None if explained is None else RegionMap.of(explained),
            query=Query.of(query),
            credentials=None if said is None else CredentialsDocument.of(said),
            timings_ms=Timings.of(answered.timings),
        )

"""The JSON documents of the HTTP API. Written by `make client` from its description: edit nothing.

A member or a value that this version has not heard of is kept, so that a newer service is read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """What all of them are."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class AddedBatch(Document):
    """One item for each image sent, in the order sent."""

    items: list[AddedItem | RefusedItem]
    generation: int
    """Ask for it as `min_generation`."""


class AddedItem(Document):
    """An image of a batch that is held now."""

    index: int
    filename: str | None
    source: SourceDocument
    created: bool


class AddedSource(Document):
    """A source after POST, with the write that queries can wait for."""

    source: SourceDocument
    created: bool
    """false: the collection held these bytes; nothing changed."""
    generation: int
    """Ask for it as `min_generation`."""


class AttributedItem(Document):
    """An image of a batch that could be answered."""

    index: int
    filename: str | None
    attribution: AttributionDocument
    q_value: float | None
    """Smallest rate of false discoveries, over the images of this batch that have a p-value, at
    which this one counts as attributed (Benjamini and Hochberg, 1995). `decision` does not use
    it. null where there is no p-value.
    """


class AttributionBatch(Document):
    """One item for each image sent, in the order sent."""

    items: list[AttributedItem | ProblemItem]


class AttributionDocument(Document):
    """One image's attribution. Returned shares, other and unattributed share sum to 1."""

    request_id: str
    model_id: str
    index_generation: int
    """The last write that this answer has seen."""
    decision: Literal["attributed", "no_source_found"] | str | None
    """null while no calibration exists: then nothing is decided."""
    reason: Literal["nothing-held", "no-content"] | str | None = Field(default=None)
    """`nothing-held`: what was searched holds no source, so that none could be found, whatever the
    image is. `no-content`: the image is of one colour, or nearly, so that there is nothing to
    compare and no source is claimed.
    """
    p_value: float | None
    alpha: float
    guarantee: Literal["average", "background"] | str = Field(default="average")
    """What the p-values promise; see the parameter."""
    calibration: Calibration
    other_share: float
    """Probability that a true source drawn at random is held but not listed here."""
    unattributed_share: float
    """Probability that a true source drawn at random is not held at all."""
    sources: list[RankedSource]
    """Always listed, whatever the decision."""
    background_likeness: float | None = Field(default=None)
    """Part of the background's images that are no more ordinary than this image, by how alike it
    is to unrelated pictures in each respect. Small: unlike anything that p-values rest on. null
    where it is not known.
    """
    unlike_background: bool = Field(default=False)
    """Whether that is .01 or less: then p-values may not hold for this image."""
    turned: Literal[0, 90, 180, 270] = Field(default=0)
    """Degrees to the left by which the image is turned against the picture that the answer is
    about, where it was looked at `any_way_up`.
    """
    recall: PromisedRecall | None = Field(default=None)
    """Where it was asked for."""
    region_map: RegionMap | None = Field(default=None)
    """With `explain` only."""
    query: Query
    credentials: CredentialsDocument | None = Field(default=None)
    """What the image's own C2PA manifest says, beside the measurement and no part of it; null
    where it has none.
    """
    timings_ms: Timings


class Calibration(Document):
    """What turned scores into p-values and shares."""

    id: str | None
    """Of the null and of the share model together; null without a null."""
    state: Literal["fresh", "building", "missing"] | str
    """`missing`: too few background images, hence no p-value and no decision; `attribution
    calibrate --background FOLDER` adds some.
    """


class CalibrationDocument(Document):
    """What turns scores into p-values and shares, and where the shares come from."""

    id: str | None
    """Of the null and of the share model together; null without a null."""
    state: Literal["fresh", "building", "missing"] | str
    """`missing`: too few background images, hence no p-value and no decision; `attribution
    calibrate --background FOLDER` adds some.
    """
    generation: int | None
    """The last change that the null has seen; null without a null."""
    background: list[StratumDocument]
    """What the null of all sources is made of; empty without a null."""
    shares: Literal["fitted", "default"] | str
    """`fitted` to the sources held, by `attribution calibrate`, or the encoder's own `default`.
    """
    shares_fitted_at: datetime | None
    """When shares were fitted; null while they are the default."""
    recall: float = Field(default=0.0)
    """The largest that a query can ask for; 0 where none was measured."""
    recent: RecentDocument | None = Field(default=None)
    """null to a key that is limited to collections."""


class CollectionDocument(Document):
    """A named set of sources."""

    name: str
    description: str
    sources: int
    """How many it holds."""
    created_at: datetime


class CollectionPage(Document):
    """All collections, by name."""

    items: list[CollectionDocument]
    next_cursor: str | None


class CredentialsDocument(Document):
    """What the C2PA manifest of the image says: a statement by who signed it, no measurement."""

    state: Literal["trusted", "valid", "invalid", "unreadable", "not-read"] | str
    """`trusted`: unchanged since it was signed, by a certificate of the trust list. `valid`:
    unchanged, but anybody may have signed it. `invalid`: changed since, or not signed as it
    should be. `unreadable`: damaged. `not-read`: this service lacks the extra `c2pa`.
    """
    problems: list[str]
    """What is wrong, in the codes of C2PA."""
    generator: str | None
    """What made the image, it says."""
    signer: str | None
    """Who the certificate was given to, it says."""
    digital_source_type: str | None
    """Such as `trainedAlgorithmicMedia`, of the vocabulary of the IPTC."""
    ingredients: list[IngredientDocument]
    more_ingredients: int
    """Ingredients beyond those listed."""


class DeleteSources(Document):
    """Which sources to delete: one of the two lists; and whether they may never come back."""

    source_ids: list[str] = Field(default=[])
    sha256s: list[str] = Field(default=[])
    """In every collection."""
    takedown: bool = Field(default=False)
    """Delete every source with these bytes, in all collections, refuse the bytes from now on, and
    leave none of them on the disk.
    """
    reason: str | None = Field(default=None)
    """Of a takedown; kept with it."""


class DeletedCollection(Document):
    """What deleting a collection did."""

    deleted: int
    """Sources that went with it."""
    generation: int
    remaining: list[str] = Field(default=[])
    """Files of these sources that could not be removed yet (status 202), in the data folder. It is
    tried again until they are gone; /readyz tells while they are not.
    """


class DeletedSources(Document):
    """What a deletion did; it is in no answer from now on."""

    source_ids: list[str]
    """Sources deleted."""
    missing: list[str]
    """Ids or digests that named nothing."""
    generation: int
    taken_down: list[str] = Field(default=[])
    """Digests that are refused from now on; empty but for a takedown."""
    remaining: list[str] = Field(default=[])
    """Files of what was deleted that could not be removed yet (status 202), in the data folder. It
    is tried again until they are gone; /readyz tells while they are not.
    """


class EncoderDocument(Document):
    """An encoder under which new sources are embedded."""

    model_id: str
    name: str
    """What it is called, without the path of its folder."""
    active: bool
    """The catalog says that this one is to serve."""
    serving: bool
    """This service answers by it now."""
    loaded: bool
    """This service embeds new sources under it."""
    embedded: int
    """Sources that have an embedding of it."""
    sources: int
    """Sources there are: active it can be once all have one."""


class EngineDocument(Document):
    """What runs the network of the encoder that serves."""

    name: Literal["torch", "onnx"] | str
    why: Literal["only", "set", "measured"] | str
    """`set` by ATTRIBUTION_ENGINE, the faster one as `measured` here, or the `only` one, while
    nothing is exported.
    """
    rates: list[RateDocument]
    """What was measured; empty where nothing was."""


class Health(Document):
    """The service is well; when it is not, a problem says why."""

    status: Literal["ok"] | str = Field(default="ok")
    instance: str | None = Field(default=None)
    """Names this run of the service, at random; null while it starts."""


class HeatMap(Document):
    """Where the image resembles one source, and what of it bears the source's score.

    Paletted PNGs in base64, a pixel a patch, over the whole picture whatever its proportions:
    scale
    them to the picture. A pixel's palette entry is its value, 255 times what it says; in
    `query`
    and `source` that is the similarity: 0 nothing in common, 255 alike. Its opacity is the
    value
    again, so the picture can be overlaid as it is.
    """

    width: int
    """Patches across."""
    height: int
    """Patches down."""
    query: str
    """Over the image asked about: what of it is in the source."""
    source: str
    """Over the source: what of it is in the image asked about."""
    evidence: str | None = Field(default=None)
    """Over the image asked about, of its own size: what the score falls by when a part is blurred.
    255 is the part that costs most, of all sources with a heat map: the scale is theirs in
    common.
    """


class HeldIngredientDocument(Document):
    """A source that an ingredient is."""

    source_id: str
    by: Literal["bytes", "identifier", "picture"] | str
    """`bytes`: the very file lies in the manifest. `identifier`: the source's `uri` is an
    identifier of the ingredient. `picture`: its thumbnail shows the picture of the source.
    """
    uri: str | None = Field(default=None)
    title: str | None = Field(default=None)


class IndexDocument(Document):
    """What is searched, and how far it is behind the catalog."""

    kind: str
    vectors: int
    """Sources that a query can find."""
    base: int
    tail: int
    removed: int
    recall_at_10: float | None
    """Measured against exact search; null where search is exact."""
    generation: int
    """The last change applied."""
    lag: int
    """Changes of the catalog that are not applied yet."""
    epoch: str
    model_id: str
    dimension: int
    engine: EngineDocument
    calibration: CalibrationDocument
    collections: list[str] | None = Field(default=None)
    """Those that the key is limited to; null where it is not."""
    encoders: list[EncoderDocument]
    """Those that `attribution reembed` has registered; empty to a key limited to collections, and
    while there is only the one of the settings.
    """


class IngredientDocument(Document):
    """What the image is said to be made of."""

    title: str | None
    relationship: str | None
    """`parentOf`, `componentOf` or `inputTo`."""
    held: list[HeldIngredientDocument]
    """Which sources it is, if it is held."""


class JobDocument(Document):
    """A job and how far it is."""

    job_id: str
    state: Literal["queued", "running", "finished", "cancelled"] | str
    total: int
    """Images sent."""
    completed: int
    """Images that have a result, be it a problem."""
    failed: int
    """Those of them that have a problem."""
    parameters: JobQuestion
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    """When it is purged with its results; null while it has not ended."""
    results_url: str
    remaining: list[str]
    """Images of a job that has ended and that are on the disk nevertheless, as folders in the data
    folder; the service tries again to remove them.
    """


class JobPage(Document):
    """Some jobs, the newest first."""

    items: list[JobDocument]
    next_cursor: str | None
    """Pass it as `cursor`; null on the last page."""


class JobQuestion(Document):
    """What is asked of every image of a job."""

    top_k: int
    alpha: float
    guarantee: Literal["average", "background"] | str = Field(default="average")
    no_source: float | None = Field(default=None)
    """null: what shares were fitted with."""
    recall: float | None = Field(default=None)
    """null: `top_k` sources are listed."""
    any_way_up: bool = Field(default=False)
    collection: list[str] | None
    """null: all collections."""


class Method(Document):
    """How the answer was found; `model_id` names weights, head and preprocessing exactly."""

    encoder: str
    model_id: str
    description: str


class OptOutDocument(Document):
    """What the owner of a source has said about training on it."""

    do_not_train: bool
    """Whether training is forbidden."""
    data_mining: str | None
    """The PLUS term that says so, such as `DMI-PROHIBITED-GENAIMLTRAINING`."""


class Picture(Document):
    """A small picture, inline."""

    media_type: Literal["image/jpeg", "image/png"] | str
    data: str


class ProblemDocument(Document):
    """Every answer that is not a success."""

    type: str
    """Stable name of the kind of problem; open it for what to do."""
    title: str
    """The kind of problem, for people."""
    status: int
    """The HTTP status."""
    detail: str
    """What happened here, and what to do about it."""
    request_id: str | None = Field(default=None)
    """The X-Request-ID of the response; the log has it too."""
    errors: list[ProblemError] = Field(default=[])
    """The values that are wrong."""


class ProblemError(Document):
    """What is wrong with one value of the request."""

    location: str
    """Where the value is."""
    detail: str


class ProblemItem(Document):
    """An image of a batch that could not be answered."""

    index: int
    filename: str | None
    problem: ProblemDocument


class ProblemTypeDocument(Document):
    """A kind of problem, explained."""

    type: str
    title: str
    status: int
    advice: str
    """What to do about it."""


class PromisedRecall(Document):
    """What the length of the list promises."""

    rate: float
    """Of images with a source held here, how many have one listed; not of all of an image's
    sources.
    """
    kinds: str
    """Images that it was measured on; others may fare worse."""


class PutCollection(Document):
    """What a collection is for."""

    description: str = Field(default="")


class Query(Document):
    """The image that was asked about; nothing of it is kept."""

    sha256: str
    width: int
    height: int
    format: str
    notes: list[QueryNote] = Field(default=[])
    """What had to be decided for it to be seen: the ground behind its transparency, the depth of
    its levels, which of its frames; and whether a picture that it frames was looked at besides.
    """


class QueryNote(Document):
    """Something that had to be decided for the image to be seen."""

    code: (
        Literal[
            "ground-black",
            "ground-white",
            "levels",
            "later-frame",
            "no-end-marker",
            "framed-picture",
            "no-content",
        ]
        | str
    )
    detail: str


class RankedSource(Document):
    """A source listed in an answer. Whether the query came from it, `attributed` says."""

    rank: int
    source_id: str
    collection: str
    score: float
    """Similarity to the query; says nothing on its own."""
    p_value: float | None
    """Probability that a query without source scores as high anywhere."""
    share: float
    """Probability that a true source of the query, drawn at random from all it has, is this one.
    """
    attributed: bool
    """Whether the query is attributed to this source."""
    match: Literal["identical", "copy"] | str | None = Field(default=None)
    """`identical`: the query is the very file. `copy`: an attributed source shows the same picture
    in another file. null: neither was seen.
    """
    copies: list[str] = Field(default=[])
    """Other sources, at most 100, that show the same picture; they count as this one and are not
    listed again.
    """
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    opt_out: OptOutDocument | None = Field(default=None)
    """What its metadata say about training on it; null where they say nothing."""
    thumbnail_url: str
    heatmap: HeatMap | None = Field(default=None)
    """With `explain` only, and not for every source listed."""


class RateDocument(Document):
    """How fast an engine was when it was measured."""

    engine: Literal["torch", "onnx"] | str
    batch: int
    """Queries encoded together."""
    queries_per_second: float


class Readiness(Document):
    """Queries are answered; `degraded` where writes fail, or a deletion is not off the disk."""

    status: Literal["ok", "degraded"] | str
    troubles: list[StorageTrouble] = Field(default=[])
    """What fails, where it is `degraded`; left out where it is not."""


class RecentDocument(Document):
    """The last thousand answers that had a p-value, since the service began."""

    queries: int
    p_values: list[int]
    """How many p-values lie in each tenth of 0 to 1: alike where no image has a source here, more
    in the first where some have. Fewer there than in the others: the background is easier to
    match than your images.
    """
    likened: int
    """Those whose likeness to the background is known."""
    unlike_background: int
    """Those of them that are unlike the background; a hundredth is what chance gives. Many more:
    extend it by `attribution calibrate --background`.
    """
    without_source: float | None
    """Estimated share of images without source (Storey, 2002); null below 50."""
    evenness: float | None
    """Probability that p-values above 0.5 are as small as these where the background is right;
    near 0 it does not resemble what is asked. null below 50 of them.
    """
    sameness: float | None
    """Probability that the older and the newer half differ as much by chance; near 0 something has
    changed. null below 100.
    """
    median_ms: float | None
    """Milliseconds of an answer; null without any."""
    p95_ms: float | None
    """Milliseconds that one in twenty exceeds."""


class RefusedItem(Document):
    """An image of a batch that was not added."""

    index: int
    filename: str | None
    problem: ProblemDocument


class Region(Document):
    """The part of the image that is assigned to one attributed source."""

    rank: int
    source_id: str
    fraction: float
    """Of the image's area."""


class RegionMap(Document):
    """Which attributed source each patch of the image resembles most, or none of them.

    A paletted PNG in base64, a pixel a patch; the palette entry is the rank of a source, 0
    none.
    """

    width: int
    """Patches across."""
    height: int
    """Patches down."""
    png: str
    regions: list[Region]
    """One for each attributed source with a heat map."""
    none_fraction: float
    """Of the image's area, assigned to no source."""


class Report(Document):
    """One answer, as a document. Shares of `sources`, other and unattributed share sum to 1."""

    type: Literal["attribution-report"] | str = Field(default="attribution-report")
    version: Literal[1] = Field(default=1)
    created_at: str
    request_id: str | None
    service: Service
    query: ReportedQuery
    searched: Searched
    method: Method
    decision: Literal["attributed", "no_source_found"] | str | None
    p_value: float | None
    alpha: float
    guarantee: Literal["average", "background"] | str = Field(default="average")
    calibration: ReportedCalibration
    other_share: float
    unattributed_share: float
    sources: list[ReportedSource]
    region_map: ReportedRegionMap | None = Field(default=None)
    statement: list[str]
    """What the figures mean, in plain words."""
    signature: Signature | None = Field(default=None)


class ReportKey(Document):
    """An Ed25519 public key (RFC 8032); what a report's signature covers: docs/report.md."""

    algorithm: Literal["Ed25519"] | str = Field(default="Ed25519")
    key_id: str
    """First 16 hex digits of the SHA-256 of the key's 32 bytes."""
    public_key: str
    """The 32 bytes, as base64."""
    pem: str
    """The same as SubjectPublicKeyInfo."""


class ReportedCalibration(Document):
    """What turned scores into p-values."""

    id: str | None
    state: Literal["fresh", "building", "missing"] | str


class ReportedMaps(Document):
    """Where a source shows: PNGs to lay over the query and over the source, stretched to fit.

    They are drawn as they are: transparent where little resembles, opaque where much does.
    """

    query_png: str
    source_png: str


class ReportedQuery(Document):
    """The image that was asked about; the digest is of the file as it was sent.

    `notes` are sentences on what had to be decided for it to be seen; mostly there are none.
    """

    sha256: str
    width: int
    height: int
    format: str
    thumbnail: Picture | None
    notes: list[str] = Field(default=[])


class ReportedRegion(Document):
    """One colour of a region map: the rank of the source it stands for, null for none."""

    rank: int | None
    colour: str


class ReportedRegionMap(Document):
    """Each part of the query in the colour of the source that it comes from.

    A PNG to lay over the query, stretched to fit; transparent where it comes from none.
    """

    png: str
    legend: list[ReportedRegion]


class ReportedSource(Document):
    """One ranked source, as the catalog knew it at the time."""

    rank: int
    source_id: str
    collection: str
    sha256: str
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    score: float
    p_value: float | None
    share: float
    attributed: bool
    match: Literal["identical", "copy"] | str | None = Field(default=None)
    copies: list[str] = Field(default=[])
    thumbnail: Picture | None
    maps: ReportedMaps | None = Field(default=None)


class Searched(Document):
    """Among what was searched: these collections (null: all of them) after this write."""

    collections: list[str] | None
    index_generation: int


class Service(Document):
    """What made the report."""

    name: Literal["attribution"] | str = Field(default="attribution")
    version: str


class Signature(Document):
    """An Ed25519 signature of the canonical form of everything else in the report.

    `public_key` and `value` are base64 of 32 and 64 bytes; `key_id` is the first 16 hex digits
    of
    the SHA-256 of the 32.
    """

    algorithm: Literal["Ed25519"] | str = Field(default="Ed25519")
    key_id: str
    public_key: str
    value: str


class SnapshotDocument(Document):
    """A snapshot that has been saved."""

    generation: int


class SourceCodesDocument(Document):
    """International Standard Content Codes; similar pictures have similar ones."""

    content_code: str
    """Image-Code, 64 bits, of the preview that is held: within a few bits of that of the file.
    """
    meta_code: str | None
    """Meta-Code of the title; null without one."""


class SourceDocument(Document):
    """An image the operator holds."""

    source_id: str
    collection: str
    sha256: str
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    metadata: dict[str, Any]
    opt_out: OptOutDocument | None = Field(default=None)
    """What `metadata` say about training on it; null where they say nothing."""
    width: int
    height: int
    format: str
    created_at: datetime
    updated_at: datetime
    revision: int
    """Grows with every change; also the ETag."""
    thumbnail_url: str


class SourcePage(Document):
    """Some sources, in the order asked for."""

    items: list[SourceDocument]
    next_cursor: str | None
    """Pass it as `cursor`; null on the last page."""


class SourcePatch(Document):
    """A merge patch (RFC 7396): what is left out stays, null deletes."""

    uri: str | None = Field(default=None)
    title: str | None = Field(default=None)
    creator: str | None = Field(default=None)
    licence: str | None = Field(default=None)
    metadata: dict[str, Any] | None = Field(default=None)


class StorageTrouble(Document):
    """A part of the service whose disk does not do what it should, or which is not there."""

    part: Literal["catalog", "previews", "jobs", "index", "temporary", "erasure", "indexer"] | str
    """What cannot be written; `erasure`: what was deleted and is still on the disk; `indexer`: no
    process writes the index.
    """
    detail: str


class StratumDocument(Document):
    """Background images of one kind."""

    stratum: (
        Literal[
            "photo", "generated", "laundered", "added-photo", "added-generated", "added-laundered"
        ]
        | str
    )
    images: int
    """Images that the null is made of."""
    copies: int
    """Images left out because a source here shows the same."""


class Timings(Document):
    """Milliseconds of each stage, those of all images that shared it; two of them are waiting."""

    decode: float
    queue: float
    """Waiting for the encoder."""
    encode: float
    search_queue: float = Field(default=0.0)
    """Waiting for the search."""
    search: float
    explain: float | None = Field(default=None)
    """null unless asked for."""
    total: float

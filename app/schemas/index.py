"""The state of the index, of its calibration, and of the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.schemas.attribution import Calibration
from app.telemetry.recent import RecentAnswers
from attribution.calibration import CalibrationReport
from attribution.calibration.shares.newest import Shares
from models.background import Stratum
from models.engine import Choice, EngineName


class StratumDocument(BaseModel):
    """Background images of one kind."""

    stratum: Stratum
    images: int = Field(description="Images that the null is made of.")
    copies: int = Field(description="Images left out because a source here shows the same.")


class RecentDocument(BaseModel):
    """The last thousand answers that had a p-value, since the service began."""

    queries: int
    p_values: list[int] = Field(
        description="How many p-values lie in each tenth of 0 to 1: alike where no image has a "
        "source here, more in the first where some have. Fewer there than in the others: the "
        "background is easier to match than your images."
    )
    likened: int = Field(description="Those whose likeness to the background is known.")
    unlike_background: int = Field(
        description="Those of them that are unlike the background; a hundredth is what chance "
        "gives. Many more: extend it by `attribution calibrate --background`."
    )
    without_source: float | None = Field(
        description="Estimated share of images without source (Storey, 2002); null below 50."
    )
    evenness: float | None = Field(
        description="Probability that p-values above 0.5 are as small as these where the "
        "background is right; near 0 it does not resemble what is asked. null below 50 of them."
    )
    sameness: float | None = Field(
        description="Probability that the older and the newer half differ as much by chance; near "
        "0 something has changed. null below 100."
    )
    median_ms: float | None = Field(description="Milliseconds of an answer; null without any.")
    p95_ms: float | None = Field(description="Milliseconds that one in twenty exceeds.")

    @classmethod
    def of(cls, recent: RecentAnswers) -> RecentDocument:
        """What the last answers were like."""
        told, answered = recent.watched, recent.queries > 0
        return cls(
            queries=recent.queries,
            p_values=list(recent.p_values),
            likened=recent.likened,
            unlike_background=recent.unlike,
            without_source=told.without_source,
            evenness=told.evenness,
            sameness=told.sameness,
            median_ms=round(1000 * recent.median_seconds, 2) if answered else None,
            p95_ms=round(1000 * recent.slow_seconds, 2) if answered else None,
        )


class CalibrationDocument(Calibration):
    """What turns scores into p-values and shares, and where the shares come from."""

    generation: int | None = Field(
        description="The last change that the null has seen; null without a null."
    )
    background: list[StratumDocument] = Field(
        description="What the null of all sources is made of; empty without a null."
    )
    shares: Literal["fitted", "default"] = Field(
        description="`fitted` to the sources held, by `attribution calibrate`, or the encoder's own"
        " `default`."
    )
    shares_fitted_at: AwareDatetime | None = Field(
        description="When shares were fitted; null while they are the default."
    )
    recall: float = Field(
        default=0.0, description="The largest that a query can ask for; 0 where none was measured."
    )
    recent: RecentDocument | None = Field(
        default=None, description="null to a key that is limited to collections."
    )

    @classmethod
    def of(
        cls, report: CalibrationReport, shares: Shares, recent: RecentAnswers | None
    ) -> CalibrationDocument:
        """What decisions and shares rest on, and what the last answers were like."""
        return cls(
            id=shares.name(report.state),
            state=report.state.state,
            generation=report.generation,
            background=[
                StratumDocument(
                    stratum=stratum.name, images=len(stratum.statistics), copies=stratum.copies
                )
                for stratum in report.strata
            ],
            shares="default" if shares.fitted_at is None else "fitted",
            shares_fitted_at=shares.fitted_at,
            recall=shares.recall.largest,
            recent=None if recent is None else RecentDocument.of(recent),
        )


class EncoderDocument(BaseModel, protected_namespaces=()):
    """An encoder under which new sources are embedded."""

    model_id: str
    name: str = Field(description="What it is called, without the path of its folder.")
    active: bool = Field(description="The catalog says that this one is to serve.")
    serving: bool = Field(description="This service answers by it now.")
    loaded: bool = Field(description="This service embeds new sources under it.")
    embedded: int = Field(description="Sources that have an embedding of it.")
    sources: int = Field(description="Sources there are: active it can be once all have one.")


class RateDocument(BaseModel):
    """How fast an engine was when it was measured."""

    engine: EngineName
    batch: int = Field(description="Queries encoded together.")
    queries_per_second: float


class EngineDocument(BaseModel):
    """What runs the network of the encoder that serves."""

    name: EngineName
    why: Literal["only", "set", "measured"] = Field(
        description="`set` by ATTRIBUTION_ENGINE, the faster one as `measured` here, or the `only` "
        "one, while nothing is exported."
    )
    rates: list[RateDocument] = Field(description="What was measured; empty where nothing was.")

    @classmethod
    def of(cls, choice: Choice) -> EngineDocument:
        """The engine that was chosen."""
        rates = [
            RateDocument(
                engine=rate.engine,
                batch=rate.batch,
                queries_per_second=round(rate.queries_per_second, 2),
            )
            for rate in choice.rates
        ]
        return cls(name=choice.engine, why=choice.why, rates=rates)


class IndexDocument(BaseModel):
    """What is searched, and how far it is behind the catalog."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "pq",
                    "vectors": 5120,
                    "base": 5000,
                    "tail": 120,
                    "removed": 0,
                    "recall_at_10": 0.998,
                    "generation": 5120,
                    "lag": 0,
                    "epoch": "ep_7f3a",
                    "model_id": "21f5492dd484ee14",
                    "dimension": 256,
                    "engine": {
                        "name": "onnx",
                        "why": "measured",
                        "rates": [
                            {"engine": "torch", "batch": 1, "queries_per_second": 47.1},
                            {"engine": "torch", "batch": 8, "queries_per_second": 70.5},
                            {"engine": "onnx", "batch": 1, "queries_per_second": 59.8},
                            {"engine": "onnx", "batch": 8, "queries_per_second": 82.7},
                        ],
                    },
                    "calibration": {
                        "id": "2b7e51c09d3f.parts2-5c1d07aa",
                        "state": "fresh",
                        "generation": 5120,
                        "background": [
                            {"stratum": "photo", "images": 5198, "copies": 2},
                            {"stratum": "generated", "images": 600, "copies": 0},
                            {"stratum": "laundered", "images": 999, "copies": 1},
                        ],
                        "shares": "fitted",
                        "shares_fitted_at": "2026-01-31T09:30:00Z",
                    },
                    "encoders": [
                        {
                            "model_id": "21f5492dd484ee14",
                            "name": "bundled",
                            "active": True,
                            "serving": True,
                            "loaded": True,
                            "embedded": 5120,
                            "sources": 5120,
                        }
                    ],
                }
            ]
        },
        protected_namespaces=(),
    )

    kind: str
    vectors: int = Field(description="Sources that a query can find.")
    base: int
    tail: int
    removed: int
    recall_at_10: float | None = Field(
        description="Measured against exact search; null where search is exact."
    )
    generation: int = Field(description="The last change applied.")
    lag: int = Field(description="Changes of the catalog that are not applied yet.")
    epoch: str
    model_id: str
    dimension: int
    engine: EngineDocument
    calibration: CalibrationDocument
    collections: list[str] | None = Field(
        default=None, description="Those that the key is limited to; null where it is not."
    )
    encoders: list[EncoderDocument] = Field(
        description="Those that `attribution reembed` has registered; empty to a key limited to "
        "collections, and while there is only the one of the settings."
    )


class SnapshotDocument(BaseModel):
    """A snapshot that has been saved."""

    generation: int


class Health(BaseModel):
    """The service is well; when it is not, a problem says why."""

    status: Literal["ok"] = "ok"
    instance: str | None = Field(
        default=None,
        description="Names this run of the service, at random; null while it starts.",
    )


class StorageTrouble(BaseModel):
    """A part of the service whose disk does not do what it should, or which is not there."""

    part: Literal["catalog", "previews", "jobs", "index", "temporary", "erasure", "indexer"] = (
        Field(
            description="What cannot be written; `erasure`: what was deleted and is still on the "
            "disk; `indexer`: no process writes the index."
        )
    )
    detail: str


class Readiness(BaseModel):
    """Queries are answered; `degraded` where writes fail, or a deletion is not off the disk."""

    status: Literal["ok", "degraded"]
    troubles: list[StorageTrouble] = Field(
        default=[], description="What fails, where it is `degraded`; left out where it is not."
    )

    @classmethod
    def of(cls, troubles: Mapping[str, str]) -> Readiness:
        """What is wrong with the disk, by part, where anything is."""
        if not troubles:
            return cls(status="ok")
        told = [StorageTrouble.model_validate({"part": part, "detail": detail})
                for part, detail in sorted(troubles.items())]  # fmt: skip
        return cls(status="degraded", troubles=told)

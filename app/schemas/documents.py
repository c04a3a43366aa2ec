"""Writes what the layers below return as the API's documents; decides nothing."""

from __future__ import annotations

from app.answers import Answered
from app.problems.mapping import problem_of
from app.schemas.attribution import (
    AttributionDocument,
    Calibration,
    HeatMap,
    Query,
    RankedSource,
    Timings,
)
from app.schemas.explanation_documents import heat_map_document, region_map_document
from app.schemas.index import CalibrationDocument, StratumDocument
from app.schemas.problem import ProblemDocument
from app.schemas.source import SourceDocument
from attribution import answer
from attribution.calibration import CalibrationReport
from attribution.calibration.shares.newest import Shares
from attribution.catalog import Source

_MS = 1000.0


def thumbnail_url(source_id: str) -> str:
    """Where a source's thumbnail is, relative to the service."""
    return f"/v1/sources/{source_id}/thumbnail"


def source_document(source: Source) -> SourceDocument:
    """A source as the API shows it."""
    return SourceDocument(
        source_id=source.source_id,
        collection=source.collection,
        sha256=source.sha256,
        uri=source.uri,
        title=source.title,
        creator=source.creator,
        licence=source.licence,
        metadata=dict(source.metadata),
        width=source.width,
        height=source.height,
        format=source.format,
        created_at=source.created_at,
        updated_at=source.updated_at,
        revision=source.revision,
        thumbnail_url=thumbnail_url(source.source_id),
    )


def problem_document(error: Exception, request_id: str) -> ProblemDocument:
    """What kept one image of a batch from being answered."""
    return ProblemDocument(**problem_of(error).document(request_id=request_id))


def attribution_document(
    answered: Answered, *, request_id: str, total_seconds: float
) -> AttributionDocument:
    """One image's answer as the API shows it."""
    attribution, embedded = answered.attribution, answered.embedded
    decoded, explained = embedded.decoded, answered.explained
    maps = () if explained is None else explained.explanation.sources
    heat = {each.rank: heat_map_document(each) for each in maps}
    return AttributionDocument(
        request_id=request_id,
        model_id=attribution.model_id,
        index_generation=answered.generation,
        decision=attribution.decision,
        p_value=attribution.p_value,
        alpha=attribution.alpha,
        calibration=Calibration(id=attribution.calibration.id, state=attribution.calibration.state),
        other_share=attribution.other_share,
        unattributed_share=attribution.unattributed_share,
        sources=[_ranked(ranked, heat.get(ranked.rank)) for ranked in attribution.sources],
        region_map=None if explained is None else region_map_document(explained.explanation),
        query=Query(
            sha256=decoded.sha256,
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
        ),
        timings_ms=Timings(
            decode=round(embedded.decode_seconds * _MS, 2),
            queue=round(embedded.queue_seconds * _MS, 2),
            encode=round(embedded.encode_seconds * _MS, 2),
            search=round(answered.search_seconds * _MS, 2),
            explain=None if explained is None else round(explained.seconds * _MS, 2),
            total=round(total_seconds * _MS, 2),
        ),
    )


def calibration_document(report: CalibrationReport, shares: Shares) -> CalibrationDocument:
    """What decisions and shares rest on, as the API shows it."""
    return CalibrationDocument(
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
    )


def _ranked(ranked: answer.RankedSource, heatmap: HeatMap | None) -> RankedSource:
    source = ranked.source
    return RankedSource(
        rank=ranked.rank,
        source_id=source.source_id,
        collection=source.collection,
        score=ranked.score,
        p_value=ranked.p_value,
        share=ranked.share,
        attributed=ranked.attributed,
        uri=source.uri,
        title=source.title,
        creator=source.creator,
        licence=source.licence,
        thumbnail_url=thumbnail_url(source.source_id),
        heatmap=heatmap,
    )

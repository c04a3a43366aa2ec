"""Puts an answer and what belongs to it into a report; asks nobody and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from attribution.answer import Attribution, RankedSource
from attribution.report.document import (
    Method,
    Picture,
    Report,
    ReportedCalibration,
    ReportedMaps,
    ReportedQuery,
    ReportedRegionMap,
    ReportedSource,
    Searched,
    Service,
)
from attribution.report.statement import METHOD, statement


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a report shows of an answer's sources, by `source_id`; what is missing is left out."""

    thumbnails: Mapping[str, Picture] = field(default_factory=dict)
    maps: Mapping[str, ReportedMaps] = field(default_factory=dict)
    region_map: ReportedRegionMap | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an answer does not know of itself.

    Attributes:
        created_at: with a time zone; reported in UTC, to the second.
        collections: the searched set; None for all.
        encoder: its name for people; `model_id` is the answer's.
        version: of the service.
        request_id: of the request answered, where there was one.
        no_source: what shares start from, where whoever asked has said so.
    """

    created_at: datetime
    collections: frozenset[str] | None
    encoder: str
    version: str
    request_id: str | None = None
    no_source: float | None = None


def compose(
    attribution: Attribution,
    query: ReportedQuery,
    circumstances: Circumstances,
    pictures: Pictures | None = None,
) -> Report:
    """The report of one answer, unsigned."""
    pictures = pictures or Pictures()
    collections = circumstances.collections
    return Report(
        created_at=circumstances.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        request_id=circumstances.request_id,
        service=Service(version=circumstances.version),
        query=query,
        searched=Searched(
            collections=None if collections is None else tuple(sorted(collections)),
            index_generation=attribution.index_generation,
        ),
        method=Method(
            encoder=circumstances.encoder, model_id=attribution.model_id, description=METHOD
        ),
        decision=attribution.decision,
        p_value=attribution.p_value,
        alpha=attribution.alpha,
        guarantee=attribution.guarantee,
        calibration=ReportedCalibration(
            id=attribution.calibration.id, state=attribution.calibration.state
        ),
        other_share=attribution.other_share,
        unattributed_share=attribution.unattributed_share,
        sources=tuple(_reported(ranked, pictures) for ranked in attribution.sources),
        region_map=pictures.region_map,
        statement=statement(attribution, circumstances.no_source),
    )


def _reported(ranked: RankedSource, pictures: Pictures) -> ReportedSource:
    source = ranked.source
    return ReportedSource(
        rank=ranked.rank,
        source_id=source.source_id,
        collection=source.collection,
        sha256=source.sha256,
        uri=source.uri,
        title=source.title,
        creator=source.creator,
        licence=source.licence,
        score=ranked.score,
        p_value=ranked.p_value,
        share=ranked.share,
        attributed=ranked.attributed,
        match=ranked.match,
        copies=tuple(copy.source_id for copy in ranked.copies),
        thumbnail=pictures.thumbnails.get(source.source_id),
        maps=pictures.maps.get(source.source_id),
    )

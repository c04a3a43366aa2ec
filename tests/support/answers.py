"""Answers and reports of them with pictures and maps, made without any encoder."""

import base64
import io
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from attribution.answer import Attribution, CalibrationState, RankedSource
from attribution.catalog import Source
from attribution.report.composing import Circumstances, Pictures, compose
from attribution.report.document import (
    Report,
    ReportedMaps,
    ReportedQuery,
    ReportedRegion,
    ReportedRegionMap,
)
from attribution.report.thumbnails import thumbnail_of
from tests.support.pictures import picture

NOW = datetime(2026, 5, 4, 12, 34, 56, 789_000, tzinfo=UTC)
WORDS = {
    "title": "Lighthouse at dusk",
    "creator": "A. Photographer",
    "licence": "CC-BY-4.0",
    "uri": "photos/lighthouse.jpg",
}


def map_png(seed: int) -> str:
    """A paletted map at the resolution of a patch grid, with opacity of its own, as base64."""
    grid = np.random.default_rng(seed).integers(0, 256, (7, 7), dtype=np.uint8)
    image = Image.fromarray(grid).convert("P")
    image.putpalette([value for level in range(256) for value in (level, 0, 255 - level)])
    written = io.BytesIO()
    image.save(written, "PNG", transparency=bytes(range(256)))
    return base64.b64encode(written.getvalue()).decode()


def source(place: int, **words: str | None) -> Source:
    return Source(
        source_id=f"src_{place}",
        vector_id=place,
        collection="default",
        sha256=f"{place:064x}",
        metadata={},
        width=640,
        height=400,
        format="jpeg",
        created_at=NOW,
        updated_at=NOW,
        revision=1,
        **{**WORDS, **words},
    )


def attribution(decision="attributed", count: int = 2, **words: str | None) -> Attribution:
    calibrated = decision is not None
    p_value = {"attributed": 1 / 5201, "no_source_found": 0.5276, None: None}[decision]
    ranked = tuple(
        RankedSource(
            rank=rank,
            source=source(rank, **words),
            score=7.77 / rank,
            p_value=p_value * rank if calibrated else None,
            share=0.9 / count,
            attributed=decision == "attributed" and rank == 1,
        )
        for rank in range(1, count + 1)
    )
    return Attribution(
        model_id="7d4f4467ec6d2f3a",
        index_generation=20,
        decision=decision,
        p_value=p_value,
        alpha=0.01,
        calibration=CalibrationState("15a7dd4ff4a9", "fresh")
        if calibrated
        else CalibrationState(None, "missing"),
        sources=ranked,
        other_share=0.0999,
        unattributed_share=0.0001,
    )


def ranked(rank: int, *, attributed: bool = True) -> RankedSource:
    return RankedSource(rank, source(rank), 1.0, 0.001, 0.1, attributed)


def answer_of(*attributed: bool) -> Attribution:
    """An answer whose sources, in order of rank, are attributed or not."""
    sources = tuple(ranked(rank, attributed=each) for rank, each in enumerate(attributed, 1))
    return replace(attribution(), sources=sources)


def report_of(answer: Attribution, *, maps: bool = False) -> Report:
    query = ReportedQuery(
        sha256="9f86d081" * 8,
        width=320,
        height=200,
        format="png",
        thumbnail=thumbnail_of(picture(0, (320, 200))),
    )
    ids = [ranked.source.source_id for ranked in answer.sources]
    pictures = Pictures(
        thumbnails={
            source_id: thumbnail_of(picture(seed, (200, 320)))
            for seed, source_id in enumerate(ids, start=1)
        },
        maps={ids[0]: ReportedMaps(query_png=map_png(1), source_png=map_png(2))} if maps else {},
        region_map=ReportedRegionMap(
            png=map_png(3),
            legend=(
                ReportedRegion(rank=1, colour="#1a4f8b"),
                ReportedRegion(rank=None, colour="#000000"),
            ),
        )
        if maps
        else None,
    )
    circumstances = Circumstances(
        created_at=NOW,
        collections=None,
        encoder="bundled",
        version="0.1.0",
        request_id="req_5f0c2e9d7b1a4c3e8f60",
    )
    return compose(answer, query, circumstances, pictures)

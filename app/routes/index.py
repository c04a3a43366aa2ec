"""`/v1/index`: the state of the index and of calibration."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import anyio.to_thread
from fastapi import APIRouter

from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.schemas.index import (
    CalibrationDocument,
    EncoderDocument,
    EngineDocument,
    IndexDocument,
    SnapshotDocument,
)
from app.service.reach import Holdings, HoldingsDependency
from app.service.service import Service, ServiceDependency

router = APIRouter(prefix="/v1/index", tags=["index"], dependencies=[NO_PARAMETERS])


@router.get("", summary="State of the index and of calibration", responses=problems())
async def get_index(service: ServiceDependency, holdings: HoldingsDependency) -> IndexDocument:
    """Show what is searched, how far it is behind the catalog, and whether it is calibrated.

    To a key limited to collections it shows what that key searches: those, one by one.
    """
    waits = None if holdings.caller.collections is None else service.calibrating
    return await anyio.to_thread.run_sync(_document, service, holdings, limiter=waits)


@router.post(
    "/snapshot", summary="Save a snapshot of the index", responses=problems("storage-full")
)
def save_index(service: ServiceDependency) -> SnapshotDocument:
    """Save the index now, so that the next start need not rebuild it."""
    return SnapshotDocument(generation=service.snapshots.save())


def _document(service: Service, holdings: Holdings) -> IndexDocument:
    within = holdings.caller.collections
    stats = service.serving.index.stats()
    if within is not None:  # as if there were no others: a filtered set is scanned
        vectors = service.serving.index.count(within)
        stats = replace(
            stats, kind="flat", vectors=vectors, base=vectors, tail=0, removed=0, recall_at_10=None
        )
    calibration = service.serving.calibration.report(within)
    if calibration.generation is not None:
        calibration = replace(calibration, generation=holdings.shown(calibration.generation))
    stats = replace(stats, generation=holdings.shown(stats.generation))
    latest = holdings.shown(service.catalog.generation())
    return IndexDocument(
        **asdict(stats),
        lag=max(0, latest - stats.generation),
        engine=EngineDocument.of(service.serving.encoder.choice),
        calibration=CalibrationDocument.of(
            calibration,
            service.serving.attributor.shares.current(),
            service.metrics.recent.summary() if within is None else None,
        ),
        collections=None if within is None else sorted(within),
        encoders=_encoders(service) if within is None else [],
    )


def _encoders(service: Service) -> list[EncoderDocument]:
    """How far each registered encoder has got, in the catalog and here."""
    live, registry = service.live(), service.catalog.encoders.registry()
    model_id = live.serving.model_id
    return [
        EncoderDocument(
            **asdict(service.catalog.encoders.coverage(encoder.model_id)),
            name=Path(encoder.name).name,
            active=encoder.model_id == registry.active,
            serving=encoder.model_id == model_id,
            loaded=encoder.model_id == model_id or encoder.model_id in live.companions,
        )
        for encoder in registry.encoders
    ]

"""`/v1/index`: the state of the index and of calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter

from app.access.caller import CallerDependency
from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.schemas.documents import calibration_document
from app.schemas.index import EncoderDocument, IndexDocument, SnapshotDocument
from app.service.service import Service, ServiceDependency

router = APIRouter(prefix="/v1/index", tags=["index"], dependencies=[NO_PARAMETERS])


@router.get(
    "",
    operation_id="get_index",
    summary="State of the index and of calibration",
    responses=problems(),
)
def get_index(service: ServiceDependency, caller: CallerDependency) -> IndexDocument:
    """Show what is searched, how far it is behind the catalog, and whether it is calibrated.

    To a key limited to collections it shows what that key searches: those, one by one.
    """
    if caller.collections is not None:
        return _index_within(service, caller.collections)
    serving = service.serving
    stats = serving.index.stats()
    calibration = serving.calibration.report()
    return IndexDocument(
        kind=stats.kind,
        vectors=stats.vectors,
        base=stats.base,
        tail=stats.tail,
        removed=stats.removed,
        recall_at_10=stats.recall_at_10,
        generation=stats.generation,
        lag=max(0, service.catalog.generation() - stats.generation),
        epoch=stats.epoch,
        model_id=stats.model_id,
        dimension=stats.dimension,
        calibration=calibration_document(calibration, serving.attributor.shares.current()),
        encoders=_encoders(service),
    )


@router.post(
    "/snapshot",
    operation_id="save_index",
    summary="Save a snapshot of the index",
    responses=problems("storage-full"),
)
def save_index(service: ServiceDependency) -> SnapshotDocument:
    """Save the index now, so that the next start need not rebuild it."""
    return SnapshotDocument(generation=service.snapshots.save())


def _encoders(service: Service) -> list[EncoderDocument]:
    """How far each registered encoder has got, in the catalog and here."""
    live, registry = service.live(), service.catalog.encoders.registry()
    model_id = live.serving.model_id
    coverages = {
        encoder.model_id: service.catalog.encoders.coverage(encoder.model_id)
        for encoder in registry.encoders
    }
    return [
        EncoderDocument(
            model_id=encoder.model_id,
            name=Path(encoder.name).name,
            active=encoder.model_id == registry.active,
            serving=encoder.model_id == model_id,
            loaded=encoder.model_id == model_id or encoder.model_id in live.companions,
            embedded=coverages[encoder.model_id].embedded,
            sources=coverages[encoder.model_id].sources,
        )
        for encoder in registry.encoders
    ]


def _index_within(service: Service, collections: frozenset[str]) -> IndexDocument:
    """The index of these collections, as if there were no others: a filtered set is scanned."""
    serving = service.serving
    stats = serving.index.stats()
    calibration = serving.calibration.report(collections)
    if calibration.generation is not None:
        seen = service.numbering.shown(calibration.generation, collections)
        calibration = replace(calibration, generation=seen)
    generation = service.numbering.shown(stats.generation, collections)
    latest = service.numbering.shown(service.catalog.generation(), collections)
    vectors = serving.index.count(collections)
    return IndexDocument(
        kind="flat",
        vectors=vectors,
        base=vectors,
        tail=0,
        removed=0,
        recall_at_10=None,
        generation=generation,
        lag=max(0, latest - generation),
        epoch=stats.epoch,
        model_id=stats.model_id,
        dimension=stats.dimension,
        calibration=calibration_document(calibration, serving.attributor.shares.current()),
        encoders=[],
    )

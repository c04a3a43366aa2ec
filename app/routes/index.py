"""`/v1/index`: the state of the index and of calibration."""

from __future__ import annotations

from fastapi import APIRouter

from app.describing import problems
from app.negotiation import NO_PARAMETERS
from app.schemas.index import IndexCalibration, IndexDocument, SnapshotDocument
from app.service import ServiceDependency

router = APIRouter(prefix="/v1/index", tags=["index"], dependencies=[NO_PARAMETERS])


@router.get(
    "",
    operation_id="get_index",
    summary="State of the index and of calibration",
    responses=problems(),
)
def get_index(service: ServiceDependency) -> IndexDocument:
    """Show what is searched, how far it is behind the catalog, and whether it is calibrated."""
    stats = service.index.stats()
    state = service.calibration.state()
    shares = service.attributor.shares.current()
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
        calibration=IndexCalibration(
            id=shares.name(state),
            state=state.state,
            shares="default" if shares.fitted_at is None else "fitted",
            shares_fitted_at=shares.fitted_at,
        ),
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

"""`/livez` and `/readyz`: is the process up, and would a query be answered?"""

from __future__ import annotations

from fastapi import APIRouter

from app.describing import problems
from app.negotiation import NO_PARAMETERS
from app.problems import Problem
from app.schemas.index import Health
from app.service import ServiceDependency

router = APIRouter(tags=["health"], dependencies=[NO_PARAMETERS])


@router.get("/livez", operation_id="livez", summary="Is the process alive?", responses=problems())
async def livez() -> Health:
    """The process answers."""
    return Health()


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Would a query be answered?",
    responses=problems("not-ready"),
)
def readyz(service: ServiceDependency) -> Health:
    """Encoder, index and catalog are there, and their threads are alive."""
    if not service.embedder.alive:
        raise Problem("not-ready", "The inference thread does not run.", retry_after=5)
    if not service.worker.alive:
        raise Problem("not-ready", "The thread that works on jobs does not run.", retry_after=5)
    if service.follower.failed is not None:
        raise Problem("not-ready", "The index cannot follow the catalog.", retry_after=5)
    if service.calibrating.is_alive():
        raise Problem("not-ready", "Calibration is under way; queries get no decision yet.",
                      retry_after=1)  # fmt: skip
    service.catalog.generation()
    return Health()

"""`/livez` and `/readyz`: is the process up, and would a query be answered?"""

from __future__ import annotations

from fastapi import APIRouter

from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.schemas.index import Health
from app.service.readiness import require_ready
from app.service.service import ServiceDependency

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
    """Encoder, index and catalog are there, and work; so do the threads that work on jobs."""
    require_ready(service)
    return Health()

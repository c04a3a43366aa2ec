"""`/livez`, `/readyz` and `/metrics`: is it up, would it answer, and how is it doing?"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Header, Request, Response

from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.schemas.index import Health, Readiness
from app.service.readiness import require_ready
from app.service.service import Service, ServiceDependency
from app.telemetry.metrics import Metrics

router = APIRouter(tags=["health"], dependencies=[NO_PARAMETERS])


@router.get("/livez", summary="Is the process alive?", responses=problems())
async def livez(request: Request) -> Health:
    """The process answers."""
    service = getattr(request.app.state, "service", None)
    return Health(instance=None if service is None else cast("Service", service).instance)


@router.get(
    "/readyz",
    summary="Would a query be answered?",
    response_model_exclude_unset=True,
    responses=problems("not-ready"),
)
def readyz(service: ServiceDependency) -> Readiness:
    """Encoder, index and catalog are there, and work; so do the threads that work on jobs.

    `degraded` where that is so, and yet the disk cannot be written or what was deleted is still
    on it: queries are answered, writes are not.
    """
    require_ready(service)
    return Readiness.of(service.storage.troubles())


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text format, or OpenMetrics where it is asked for",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **problems(),
    },
)
def metrics(
    request: Request,
    service: ServiceDependency,
    accept: Annotated[str, Header(description="Which format.", max_length=1024)] = "*/*",
) -> Response:
    """Show durations by route and stage, queues, the index, decisions and calibration."""
    del service  # running: what it shows is read from it
    found = cast("Metrics", request.app.state.metrics)
    body, content_type = found.exposition(accept)
    return Response(body, media_type=content_type)

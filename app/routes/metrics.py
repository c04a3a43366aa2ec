"""`/metrics`: what the service counts and measures, for Prometheus."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Header, Request, Response

from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.service.service import ServiceDependency
from app.telemetry.metrics import Metrics

router = APIRouter(tags=["health"], dependencies=[NO_PARAMETERS])


@router.get(
    "/metrics",
    operation_id="metrics",
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

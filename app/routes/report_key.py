"""`/v1/report-key`: what the signatures of this service's reports are checked with."""

from __future__ import annotations

from fastapi import APIRouter

from app.problems.problem import Problem
from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.schemas.report_key import ReportKey
from app.service.service import ServiceDependency

router = APIRouter(prefix="/v1/report-key", tags=["attributions"], dependencies=[NO_PARAMETERS])


@router.get("", summary="The public key of signed reports", responses=problems("no-signing-key"))
async def get_report_key(service: ServiceDependency) -> ReportKey:
    """Show the Ed25519 key that reports are signed with now; keep it to check old reports."""
    key = service.reporter.public_key
    if key is None:
        raise Problem("no-signing-key")
    return ReportKey(key_id=key.id, public_key=key.base64, pem=key.pem)

"""The forms in which one attribution is answered, chosen by `Accept`: today's JSON or a report."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from app.answers import FreshAnswer, Question
from app.problems.problem import Problem
from app.reports import HTML, PDF, REPORT_JSON, SUFFIXES, pdf_available
from app.requests.negotiation import acceptable
from app.routes.openapi import BINARY
from app.service.service import Service
from app.telemetry.request_id import request_id_of
from attribution.report.document import Report
from attribution.report.html import CONTENT_SECURITY_POLICY

JSON = "application/json"
OFFERED = (JSON, REPORT_JSON, HTML, PDF)
VARY = {"Vary": "Accept"}

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The attribution, or the report of it where `Accept` asks for one",
        "headers": {"Vary": {"description": "`Accept`", "schema": {"type": "string"}}},
        "content": {
            REPORT_JSON: {"schema": {"$ref": "#/components/schemas/Report"}},
            HTML: {"schema": {"type": "string"}},
            PDF: {"schema": BINARY},
        },
    }
}


def chosen_form(request: Request) -> str:
    """The media type to answer with, chosen before any work is done.

    Raises:
        Problem: none of the forms is accepted, or only PDF, which is not installed.
    """
    accepted = request.headers.get("accept", "*/*")
    allowed = acceptable(accepted, OFFERED)
    for form in allowed:
        if form != PDF or pdf_available():  # which looks into folders: only where it matters
            return form
    if allowed:
        raise Problem("pdf-unavailable")
    raise Problem(
        "not-acceptable",
        f"This endpoint answers {', '.join(OFFERED)}, which Accept: {accepted[:200]!r} excludes.",
    )


ChosenForm = Annotated[str, Depends(chosen_form)]


async def report_response(
    request: Request,
    service: Service,
    answered: FreshAnswer,
    question: Question,
    form: str,
) -> Response:
    """The report of an answer. Drawn in the service's one thread for it, so that answers go on."""
    reporter, request_id = service.reporter, request_id_of(request.scope)
    maps = None if answered.explained is None else answered.explained.explanation

    def draw() -> tuple[Report, bytes]:
        report = reporter.report(
            answered.attribution,
            answered.query,
            question,
            request_id=request_id,
            explanation=maps,
        )
        report = reporter.sign(report)
        return report, reporter.render(report, form)

    loop = asyncio.get_running_loop()
    report, content = await loop.run_in_executor(service.drawing, draw)
    name = f"{report.filename}{SUFFIXES[form]}"
    headers = {**VARY, "Content-Disposition": f'inline; filename="{name}"'}
    if form == HTML:
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return Response(content, media_type=form, headers=headers)

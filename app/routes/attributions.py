"""`/v1/attributions`: which sources did this image come from?"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.access.caller import CallerDependency
from app.answers import Answered
from app.requests.disconnects import unless_disconnected
from app.requests.negotiation import ANSWERS_JSON
from app.requests.uploads import several_images, single_image
from app.routes.openapi import image_problems, many_images, one_image
from app.routes.report_forms import ANSWERS, JSON, VARY, ChosenForm, report_response
from app.schemas.attribution import (
    AttributedItem,
    AttributionBatch,
    AttributionDocument,
    ExplainableParameters,
    ProblemItem,
)
from app.schemas.discoveries import with_q_values
from app.schemas.documents import attribution_document, problem_document
from app.service.attribute import answer, make_ready, question_of
from app.service.service import ServiceDependency
from app.telemetry.request_id import request_id_of

router = APIRouter(prefix="/v1/attributions", tags=["attributions"])

_PROBLEMS = (
    "collection-not-found",
    "not-acceptable",
    "generation-unknown",
    "generation-not-reached",
)


@router.post(
    "",
    operation_id="attribute_image",
    summary="Attribute one image",
    response_model=AttributionDocument,
    responses={**ANSWERS, **image_problems(*_PROBLEMS, "pdf-unavailable")},
    openapi_extra=one_image(),
)
async def attribute_image(
    request: Request,
    response: Response,
    parameters: Annotated[ExplainableParameters, Query()],
    service: ServiceDependency,
    caller: CallerDependency,
    form: ChosenForm,
) -> AttributionDocument | Response:
    """Rank the sources that an image may have come from, and decide whether it came from any.

    Send the image as multipart field `file`, or as the body itself. `top_k` sources are always
    listed, whatever the decision: look at `decision` and at each source's `attributed`. Accept
    `application/pdf`, `text/html` or `application/vnd.attribution.report+json` for a report.
    """
    started = time.perf_counter()
    question = question_of(parameters, caller, default_alpha=service.settings.alpha)
    patience = service.settings.answer_seconds
    with service.slots.take(1):
        async with single_image(request) as sent:
            await make_ready(service, question)
            work = answer(service, sent.uploads, question)
            [answered] = await unless_disconnected(request, work, within=patience)
            if isinstance(answered, Exception):
                raise answered
            if form != JSON:
                drawing = report_response(request, service, answered, question, form)
                return await unless_disconnected(request, drawing, within=patience)
    response.headers.update(VARY)
    return attribution_document(
        answered,
        request_id=request_id_of(request.scope),
        total_seconds=time.perf_counter() - started,
    )


@router.post(
    "/batch",
    operation_id="attribute_images",
    summary="Attribute several images",
    dependencies=[ANSWERS_JSON],
    responses=image_problems(*_PROBLEMS, "too-many-images"),
    openapi_extra=many_images(),
)
async def attribute_images(
    request: Request,
    parameters: Annotated[ExplainableParameters, Query()],
    service: ServiceDependency,
    caller: CallerDependency,
) -> AttributionBatch:
    """Attribute each image of the repeated multipart field `files`, and answer in their order.

    An image that cannot be answered gets its own problem; the others are not affected.
    """
    started = time.perf_counter()
    question = question_of(parameters, caller, default_alpha=service.settings.alpha)
    settings = service.settings
    with service.slots.take(1) as slots:
        async with several_images(request, limit=settings.max_batch_images) as form:
            slots.grow(len(form.uploads))
            await make_ready(service, question)
            work = answer(service, form.uploads, question)
            answers = await unless_disconnected(request, work, within=settings.answer_seconds)
        names = [upload.filename for upload in form.uploads]
    seconds = time.perf_counter() - started
    request_id = request_id_of(request.scope)
    items = [
        _item(index, name, answered, request_id=request_id, seconds=seconds)
        for index, (name, answered) in enumerate(zip(names, answers, strict=True))
    ]
    return AttributionBatch(items=with_q_values(items))


def _item(
    index: int, filename: str | None, answered: Answered | Exception, *, request_id: str,
    seconds: float,
) -> AttributedItem | ProblemItem:  # fmt: skip
    if isinstance(answered, Exception):
        problem = problem_document(answered, request_id)
        return ProblemItem(index=index, filename=filename, problem=problem)
    document = attribution_document(answered, request_id=request_id, total_seconds=seconds)
    return AttributedItem(index=index, filename=filename, attribution=document, q_value=None)

"""`/v1/attributions`: which sources did this image come from?"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.access.caller import CallerDependency
from app.answers import Answer
from app.requests.disconnects import unless_disconnected
from app.requests.negotiation import ANSWERS_JSON
from app.requests.uploads import several_images, single_image
from app.routes.openapi import image_problems, many_images, one_image
from app.routes.report_forms import ANSWERS, JSON, VARY, ChosenForm, report_response
from app.schemas.attribution import AttributionDocument
from app.schemas.batch import AttributedItem, AttributionBatch, ProblemItem
from app.schemas.problem import ProblemDocument
from app.schemas.question import ExplainableParameters
from app.service.attribute import answer, question_of
from app.service.service import ServiceDependency
from app.telemetry.request_id import request_id_of
from attribution.calibration.false_discovery import q_values_by_key

router = APIRouter(prefix="/v1/attributions", tags=["attributions"])

_PROBLEMS = (
    "collection-not-found",
    "not-acceptable",
    "generation-unknown",
    "generation-not-reached",
)


@router.post(
    "",
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
    question = await question_of(service, parameters, caller)
    patience = service.settings.answer_seconds
    with service.slots.take(1):
        async with single_image(request) as sent:
            await service.wait_for(question.min_generation, within=question.reach)
            work = answer(service, sent.uploads, question)
            [answered] = await unless_disconnected(request, work, within=patience)
            if isinstance(answered, Exception):
                raise answered
            if form != JSON:
                drawing = report_response(request, service, answered, question, form)
                return await unless_disconnected(request, drawing, within=patience)
    response.headers.update(VARY)
    return AttributionDocument.of(
        answered.after(time.perf_counter() - started), request_id=request_id_of(request.scope)
    )


@router.post(
    "/batch",
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
    question = await question_of(service, parameters, caller)
    settings = service.settings
    with service.slots.take(1) as slots:
        async with several_images(request, limit=settings.max_batch_images) as form:
            slots.grow(len(form.uploads))
            await service.wait_for(question.min_generation, within=question.reach)
            work = answer(service, form.uploads, question)
            answers = await unless_disconnected(request, work, within=settings.answer_seconds)
        names = [upload.filename for upload in form.uploads]
    seconds = time.perf_counter() - started
    request_id = request_id_of(request.scope)
    q_values = q_values_by_key(
        {
            index: answered.attribution.p_value
            for index, answered in enumerate(answers)
            if isinstance(answered, Answer)
        }
    )
    return AttributionBatch(
        items=[
            AttributedItem(
                index=index,
                filename=name,
                attribution=AttributionDocument.of(answered.after(seconds), request_id=request_id),
                q_value=q_values.get(index),
            )
            if isinstance(answered, Answer)
            else ProblemItem(
                index=index,
                filename=name,
                problem=ProblemDocument.of(answered, request_id=request_id),
            )
            for index, (name, answered) in enumerate(zip(names, answers, strict=True))
        ]
    )

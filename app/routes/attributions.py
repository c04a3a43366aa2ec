"""`/v1/attributions`: which sources did this image come from?"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.describing import image_problems, many_images, one_image
from app.disconnects import unless_disconnected
from app.documents import attribution_document, problem_document
from app.negotiation import ANSWERS_JSON
from app.querying import Answered, Question, answer, make_ready
from app.request_id import request_id_of
from app.schemas.attribution import (
    AttributedItem,
    AttributionBatch,
    AttributionDocument,
    AttributionParameters,
    ProblemItem,
)
from app.service import Service, ServiceDependency
from app.uploads import several_images, single_image

router = APIRouter(prefix="/v1/attributions", tags=["attributions"], dependencies=[ANSWERS_JSON])

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
    responses=image_problems(*_PROBLEMS),
    openapi_extra=one_image(),
)
async def attribute_image(
    request: Request,
    parameters: Annotated[AttributionParameters, Query()],
    service: ServiceDependency,
) -> AttributionDocument:
    """Rank the sources that an image may have come from, and decide whether it came from any.

    Send the image as multipart field `file`, or as the body itself. `top_k` sources are always
    listed, whatever the decision: look at `decision` and at each source's `attributed`.
    """
    started = time.perf_counter()
    question = _question(service, parameters)
    service.slots.refuse_when_full()
    async with single_image(request, max_bytes=service.settings.max_image_bytes) as form:
        await make_ready(service, question)
        with service.slots.take(1):
            work = answer(service, form.uploads, question)
            [answered] = await unless_disconnected(request, work)
    if isinstance(answered, Exception):
        raise answered
    return attribution_document(
        answered,
        request_id=request_id_of(request.scope),
        total_seconds=time.perf_counter() - started,
    )


@router.post(
    "/batch",
    operation_id="attribute_images",
    summary="Attribute several images",
    responses=image_problems(*_PROBLEMS, "too-many-images"),
    openapi_extra=many_images(),
)
async def attribute_images(
    request: Request,
    parameters: Annotated[AttributionParameters, Query()],
    service: ServiceDependency,
) -> AttributionBatch:
    """Attribute each image of the repeated multipart field `files`, and answer in their order.

    An image that cannot be answered gets its own problem; the others are not affected.
    """
    started = time.perf_counter()
    question = _question(service, parameters)
    service.slots.refuse_when_full()
    async with several_images(request, limit=service.settings.max_batch_images) as form:
        await make_ready(service, question)
        with service.slots.take(len(form.uploads)):
            work = answer(service, form.uploads, question)
            answers = await unless_disconnected(request, work)
        names = [upload.filename for upload in form.uploads]
    seconds = time.perf_counter() - started
    request_id = request_id_of(request.scope)
    return AttributionBatch(
        items=[
            _item(index, name, answered, request_id=request_id, seconds=seconds)
            for index, (name, answered) in enumerate(zip(names, answers, strict=True))
        ]
    )


def _question(service: Service, parameters: AttributionParameters) -> Question:
    return Question(
        top_k=parameters.top_k,
        alpha=parameters.alpha if parameters.alpha is not None else service.settings.alpha,
        collections=frozenset(parameters.collection) or None,
        min_generation=parameters.min_generation,
        explain=parameters.explain,
    )


def _item(
    index: int, filename: str | None, answered: Answered | Exception, *, request_id: str,
    seconds: float,
) -> AttributedItem | ProblemItem:  # fmt: skip
    if isinstance(answered, Exception):
        problem = problem_document(answered, request_id)
        return ProblemItem(index=index, filename=filename, problem=problem)
    document = attribution_document(answered, request_id=request_id, total_seconds=seconds)
    return AttributedItem(index=index, filename=filename, attribution=document)

"""`/v1/jobs`: large batches of images, worked on when no interactive request waits."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.addresses import address
from app.answers import Question
from app.jobs.answerer import question_document
from app.jobs.body import ARCHIVE, Received, folder_for, receive
from app.jobs.results import lines
from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import (
    BINARY,
    Responses,
    image_problems,
    json_lines,
    many_images,
    problems,
)
from app.routes.streaming import streamed
from app.schemas.job import JobDocument, JobListParameters, JobPage, ResultParameters
from app.schemas.question import AttributionParameters
from app.service.attribute import question_of
from app.service.reach import HoldingsDependency
from app.service.service import Service, ServiceDependency
from attribution.calibration import AlphaTooSmall
from attribution.catalog import Created, Job, NewJob, TooManyJobs
from attribution.catalog.jobs.inputs import Incoming

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same request under the same key makes one job, however often it is sent.",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
    ),
]


def _job(
    job_id: Annotated[str, Path(description="Id of a job.", max_length=64)],
    holdings: HoldingsDependency,
) -> Job:
    """The job that a path names, if the caller may see it."""
    return holdings.job(job_id)


_NOT_OFF_THE_DISK: Responses = {
    202: {"model": JobDocument, "description": "Done, but for images that are on the disk yet"}
}
JobDependency = Annotated[Job, Depends(_job)]


def _request_body() -> dict[str, Any]:
    described = many_images()
    described["requestBody"]["content"][ARCHIVE] = {"schema": BINARY}
    return described


@router.post(
    "",
    summary="Attribute many images",
    status_code=202,
    responses={
        202: {
            "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}
        },
        **image_problems(
            "collection-not-found", "generation-unknown", "generation-not-reached",
            "too-many-images", "archive-refused", "idempotency-key-reused", "catalog-unavailable",
        ),
    },
    openapi_extra=_request_body(),
)  # fmt: skip
async def create_job(
    request: Request,
    response: Response,
    parameters: Annotated[AttributionParameters, Query()],
    service: ServiceDependency,
    holdings: HoldingsDependency,
    idempotency_key: IdempotencyKey = None,
) -> JobDocument:
    """Accept images to be attributed one after the other; `Location` tells how far it is.

    Send them as the repeated multipart field `files`, or as one zip archive, as such a file or as
    the body. Once this answers, the job survives the end of the process.
    """
    owner = holdings.owner
    question = await question_of(service, parameters, holdings.caller)
    with service.receiving.take(1):
        seen = await service.wait_for(question.min_generation, within=question.reach)
        await anyio.to_thread.run_sync(
            _refuse_early, service, question, owner, idempotency_key, limiter=service.calibrating
        )
        async with folder_for(service.catalog.jobs) as incoming:
            received = await receive(request, incoming, service.settings)
            created = await run_in_threadpool(
                _create, service, incoming, received, question, seen, owner, idempotency_key
            )
    service.worker.wake()
    response.headers["Location"] = address(f"/v1/jobs/{created.job.job_id}")
    return _document(service, created.job)


@router.get("", summary="List jobs", responses=problems())
def list_jobs(
    parameters: Annotated[JobListParameters, Query()],
    service: ServiceDependency,
    holdings: HoldingsDependency,
) -> JobPage:
    """List the jobs that the caller may see, the newest first."""
    page = holdings.jobs(limit=parameters.limit, cursor=parameters.cursor)
    return JobPage(
        items=[_document(service, job) for job in page.items], next_cursor=page.next_cursor
    )


@router.get(
    "/{job_id}",
    summary="How far is a job?",
    dependencies=[NO_PARAMETERS],
    responses=problems("job-not-found"),
)
def get_job(job: JobDependency, service: ServiceDependency) -> JobDocument:
    """Show a job: its state, and how many of its images have a result."""
    return _document(service, job)


@router.get(
    "/{job_id}/results",
    summary="Results of a job",
    response_class=StreamingResponse,
    responses={
        200: json_lines(
            "One JSON object a line: `sequence`, `index` and `filename` of the image, and its "
            "`attribution` or `problem`; beside an `attribution` its `q_value` among all images "
            "of the job, null until that has ended"
        ),
        **problems("job-not-found"),
    },
)
def get_job_results(
    job: JobDependency,
    parameters: Annotated[ResultParameters, Query()],
    holdings: HoldingsDependency,
) -> StreamingResponse:
    """Read the results there are by now, in the order in which images ended.

    Ask again with the last `sequence` as `after` for those that come later.
    """
    rows = lines(
        holdings.service.catalog,
        job.job_id,
        after=parameters.after,
        shown=holdings.shown,
        ended=job.ended_at is not None,
    )
    return streamed(rows)


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    dependencies=[NO_PARAMETERS],
    responses={**_NOT_OFF_THE_DISK, **problems("job-not-found")},
)
def cancel_job(job: JobDependency, holdings: HoldingsDependency, response: Response) -> JobDocument:
    """End a job early: its results stay, its other images are erased. One that ended stays so.

    202 where an image cannot be erased yet: see `remaining`.
    """
    document = _document(holdings.service, holdings.cancel_job(job))
    if document.remaining:
        response.status_code = 202
    return document


@router.delete(
    "/{job_id}",
    summary="Purge a job",
    status_code=204,
    dependencies=[NO_PARAMETERS],
    responses={**_NOT_OFF_THE_DISK, **problems("job-not-found")},
)
def delete_job(job: JobDependency, holdings: HoldingsDependency) -> Response:
    """Purge a job in whatever state, with its results and its images.

    202 where an image cannot be removed yet: the job is there until it is, ended and without any
    result, and says what is `remaining`.
    """
    if not holdings.delete_job(job):
        return Response(status_code=204)
    left = _document(holdings.service, holdings.job(job.job_id))
    return JSONResponse(left.model_dump(mode="json"), status_code=202)


def _refuse_early(
    service: Service, question: Question, owner: str, idempotency_key: str | None
) -> None:
    """Refuse what could not be accepted before its body is read; all is checked again later."""
    null = service.serving.calibration.current(question.collections).null
    if null is not None and question.alpha < (smallest := question.terms.smallest_alpha(null)):
        raise AlphaTooSmall(question.alpha, smallest)
    if question.recall is not None:
        service.serving.attributor.shares.current().recall.depth(question.recall)
    jobs = service.catalog.jobs
    if idempotency_key is not None and jobs.is_key_used(owner, idempotency_key):
        return
    active = jobs.count_active()
    if active >= service.settings.max_active_jobs:
        raise TooManyJobs(active)


def _create(
    service: Service,
    incoming: Incoming,
    received: Received,
    question: Question,
    seen: int,
    owner: str,
    idempotency_key: str | None,
) -> Created:
    parameters = question_document(question)
    new = NewJob(
        parameters={**parameters, "min_generation": seen},
        items=received.items,
        owner=owner,
        idempotency_key=idempotency_key,
        fingerprint=_fingerprint(received, parameters),
    )
    return service.catalog.jobs.create(incoming, new, most_active=service.settings.max_active_jobs)


def _fingerprint(received: Received, parameters: dict[str, Any]) -> str:
    written = json.dumps(parameters, sort_keys=True)
    return hashlib.sha256(f"{received.fingerprint} {written}".encode()).hexdigest()


def _document(service: Service, job: Job) -> JobDocument:
    kept = timedelta(hours=service.settings.job_retention_hours)
    return JobDocument.of(job, kept=kept, remaining=service.catalog.jobs.remaining(job))

"""Which problem each exception becomes; the one place that knows the errors of every layer."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.addresses import path_within
from app.inference.batcher import BatcherClosedError
from app.inference.forward_pass import InferenceError
from app.problems.problem import FieldError, Problem, invalid, problem_of_status
from app.telemetry.request_id import request_id_of
from attribution.calibration import AlphaTooSmall
from attribution.calibration.shares.recall import RecallTooLarge
from attribution.catalog import (
    ActiveEncoderLeftOut,
    CatalogBusy,
    CatalogClosed,
    CatalogError,
    CatalogUnusable,
    CollectionNotFound,
    CollectionProtected,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidField,
    JobNotFound,
    PreviewMissing,
    RevisionMismatch,
    SourceNotFound,
    SourceTakenDown,
    StorageFull,
    StorageUnwritable,
    TooManyJobs,
)
from attribution.index import IndexUnavailable
from models.images.errors import ImageError

logger = logging.getLogger(__name__)

_TOLD_IN_FULL = (
    CatalogUnusable,
    IndexUnavailable,
    StorageFull,
    StorageUnwritable,
    OSError,
)  # in the log


def install(app: FastAPI) -> None:
    """Answer every exception raised under a route with its problem document."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status_code == 405:
            problem = Problem("method-not-allowed", headers={"Allow": _allowed(app, request)})
        request_id = request_id_of(request.scope)
        if problem.status_code == 500 or isinstance(error, _TOLD_IN_FULL):
            logger.error("request %s failed", request_id, exc_info=error)
        return problem.response(request_id=request_id)

    for kind in _PROBLEMS:
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception) -> Problem:
    """The problem that an exception becomes; one that nobody foresaw is an internal error."""
    for kind in type(error).__mro__:
        if kind in _PROBLEMS:
            return _PROBLEMS[kind](error)
    return Problem("internal-error")


def _http(error: HTTPException) -> Problem:
    if isinstance(error, Problem):
        return error
    return problem_of_status(error.status_code, error.detail, error.headers)


def _system(error: OSError) -> Problem:
    """A disk that does not do what it should has an answer of its own, wherever that shows."""
    if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
        return Problem("internal-error")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Problem(
            "storage-full", "A disk that the service writes to is full; free some space there."
        )
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return Problem("overloaded", "Too many files are open at the same time.", retry_after=1)
    return _unwritable(os.strerror(error.errno))


def _unwritable(reason: str) -> Problem:
    """Says why and not where: a stranger need not know where files lie, the log does."""
    return Problem(
        "storage-unavailable",
        f"A file that the service needs cannot be written or read ({reason}).",
        retry_after=5,
    )


def _validation(error: RequestValidationError) -> Problem:
    wrong = [
        FieldError(".".join(map(str, item["loc"])), _plain(item)) for item in error.errors()[:20]
    ]
    detail = "; ".join(f"{item.location}: {item.detail}" for item in wrong[:3])
    return Problem("invalid-request", detail, errors=wrong)


def _plain(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "not known here; remove it, or see /docs for the names that are"
    return str(item["msg"])


_PROBLEMS: dict[type, Callable[[Any], Problem]] = {
    HTTPException: _http,
    RequestValidationError: _validation,
    ClientDisconnect: lambda _: Problem("malformed-body", "The connection was closed."),
    ImageError: lambda error: Problem(error.code, str(error)),
    AlphaTooSmall: lambda error: invalid("query.alpha", str(error)),
    RecallTooLarge: lambda error: invalid("query.recall", str(error)),
    InferenceError: lambda _: Problem("inference-failed", retry_after=1),
    BatcherClosedError: lambda _: Problem("not-ready", "The service is stopping.", retry_after=5),
    SourceNotFound: lambda error: Problem("source-not-found", f"{error}."),
    JobNotFound: lambda error: Problem("job-not-found", f"{error}."),
    IdempotencyKeyReused: lambda error: Problem("idempotency-key-reused", f"{error}."),
    TooManyJobs: lambda error: Problem("overloaded", f"{error}.", retry_after=30),
    SourceTakenDown: lambda error: Problem("source-taken-down", f"{error}."),
    PreviewMissing: lambda _: Problem("preview-missing"),
    CollectionNotFound: lambda error: Problem("collection-not-found", f"{error}."),
    CollectionProtected: lambda error: Problem("collection-protected", f"{error}."),
    RevisionMismatch: lambda error: Problem("revision-mismatch", f"{error}."),
    InvalidCursor: lambda error: invalid("query.cursor", str(error)),
    InvalidField: lambda error: invalid(f"body.{error.field}", error.reason),
    StorageUnwritable: lambda error: _unwritable(error.reason),
    StorageFull: lambda error: Problem("storage-full", f"{error}."),
    CatalogBusy: lambda error: Problem("catalog-unavailable", f"{error}.", retry_after=1),
    ActiveEncoderLeftOut: lambda error: Problem("catalog-unavailable", f"{error}.", retry_after=30),
    CatalogClosed: lambda _: Problem("not-ready", "The service is stopping.", retry_after=5),
    # The log says what is wrong with it; a stranger need not know where it lies.
    CatalogUnusable: lambda _: Problem(
        "catalog-unavailable", "The catalog cannot be read or written.", retry_after=5
    ),
    CatalogError: lambda _: Problem("internal-error"),
    # The log says where it is and what it said.
    IndexUnavailable: lambda _: Problem(
        "index-unavailable", "The index cannot be asked.", retry_after=5
    ),
    OSError: _system,
}


def _allowed(app: FastAPI, request: Request) -> str:
    """Methods of a path, over all routes that share it: the router names those of one only."""
    path = path_within(request.scope)
    methods = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
        for method in operations
    }
    if not methods or "GET" in methods:
        methods |= {"GET", "HEAD"}
    return ", ".join(sorted(methods))

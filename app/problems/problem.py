"""Every error the service answers with, as RFC 9457 problem documents; knows no route.

A problem's `type` is `/problems/<slug>`, a stable address that the service itself explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.problems.types import PROBLEM_TYPES

MEDIA_TYPE = "application/problem+json"


_SLUG_OF_STATUS = {
    400: "malformed-body",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "request-timeout",
    413: "request-too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    429: "too-many-requests",
    500: "internal-error",
    503: "overloaded",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one value of a request; `location` is such as `query.top_k`."""

    location: str
    detail: str


class Problem(HTTPException):
    """Raised anywhere under a route to answer with a problem document.

    Args:
        slug: key of `PROBLEM_TYPES`, which gives status and title.
        detail: what happened here and what to do; the type's advice when None.
        errors: the single values that are wrong.
        retry_after: seconds for a `Retry-After` header.
        headers: further response headers.
    """

    def __init__(
        self,
        slug: str,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.type = PROBLEM_TYPES[slug]
        self.errors = tuple(errors)
        sent = dict(headers or {})
        if retry_after is not None:
            sent["Retry-After"] = str(retry_after)
        super().__init__(self.type.status, detail or self.type.advice, sent)

    def document(self, *, request_id: str | None = None) -> dict[str, Any]:
        """The JSON object of RFC 9457, section 3."""
        document: dict[str, Any] = {
            "type": self.type.uri,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
        }
        if request_id is not None:
            document["request_id"] = request_id
        if self.errors:
            document["errors"] = [asdict(error) for error in self.errors]
        return document

    def response(self, *, request_id: str | None = None) -> JSONResponse:
        """The HTTP response that carries the document."""
        return JSONResponse(
            self.document(request_id=request_id),
            status_code=self.status_code,
            headers=dict(self.headers or {}),
            media_type=MEDIA_TYPE,
        )


def invalid(location: str, detail: str) -> Problem:
    """The problem of one wrong value."""
    return Problem(
        "invalid-request", f"{location}: {detail}", errors=[FieldError(location, detail)]
    )


def problem_of_status(
    status: int, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> Problem:
    """A problem for a bare HTTP status, as frameworks raise them."""
    known = status if status in _SLUG_OF_STATUS else (400 if status < 500 else 500)
    # The framework's own detail is the status phrase again, which helps nobody.
    says_nothing = detail is None or detail in {phrase.phrase for phrase in HTTPStatus}
    return Problem(_SLUG_OF_STATUS[known], None if says_nothing else detail, headers=headers)

"""Bodies of requests: how large, how slow, and how many bytes of them all at the same time.

What there is no room for is refused before it is read.
"""

from __future__ import annotations

from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.problems.problem import Problem
from app.requests.bodies import Pace, counted, declared_bytes, paced, refusing, too_large
from app.requests.slots import Slots
from app.telemetry.request_id import request_id_of

MAX_TEXT_BYTES = 1_048_576
"""Largest body of a path that takes no images: JSON documents."""
UPLOAD_PATHS = frozenset(
    {"/v1/attributions", "/v1/attributions/batch", "/v1/sources", "/v1/sources/batch"}
)
JOBS_PATH = "/v1/jobs"


class BodyLimitMiddleware:
    """Refuses a body that is declared too large before reading it, and stops one that grows so.

    It also refuses bodies for which there is no room beside the others, and gives up those that
    come too slowly. Bodies of jobs take no room: they are written to disk, few at a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_request_bytes: int,
        max_image_bytes: int,
        max_job_bytes: int,
        room: Slots,
        pace: Pace,
    ) -> None:
        self._app = app
        self._room = room
        self._pace = pace
        self._max_request_bytes = max_request_bytes
        self._max_image_bytes = max_image_bytes
        self._max_job_bytes = max_job_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit, slug = self._limit(scope["path"], headers.get("content-type", "").lower().lstrip())
        too_long = too_large(slug, limit)
        received = counted(paced(receive, self._pace), refusing(limit, too_long))
        declared = declared_bytes(headers)
        if scope["path"] == JOBS_PATH and declared <= limit:
            await self._app(scope, received, send)
            return
        with ExitStack() as stack:
            try:
                if declared > limit:
                    raise too_long
                held = stack.enter_context(self._room.take(declared))
            except Problem as problem:
                response = problem.response(request_id=request_id_of(scope))
                await response(scope, receive, send)
                return
            await self._app(scope, counted(received, held.grow), send)

    def _limit(self, path: str, content_type: str) -> tuple[int, str]:
        """By path first: what a client calls its body must not buy room where JSON is read."""
        if path == JOBS_PATH:
            return self._max_job_bytes, "request-too-large"
        if path not in UPLOAD_PATHS:
            return MAX_TEXT_BYTES, "request-too-large"
        if content_type.startswith("multipart/"):
            return self._max_request_bytes, "request-too-large"
        return self._max_image_bytes, "image-too-large"

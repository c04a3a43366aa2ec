"""Bodies of requests: how large, how slow, and how many bytes of them all at the same time.

What there is no room for is refused before it is read.
"""

from __future__ import annotations

from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.addresses import path_within
from app.problems.problem import Problem
from app.requests.bodies import Pace, declared_bytes, too_large, watched
from app.requests.slots import Slots
from app.settings.limits import Limits
from app.telemetry.request_id import request_id_of

MAX_TEXT_BYTES = 1_048_576
"""Largest body of a path that takes no images: JSON documents."""
ONE_IMAGE_PATHS = frozenset({"/v1/attributions", "/v1/sources"})
UPLOAD_PATHS = ONE_IMAGE_PATHS | {"/v1/attributions/batch", "/v1/sources/batch"}
JOBS_PATH = "/v1/jobs"
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_FRAMING_BYTES = 1_048_576
"""Room for the other parts and the boundaries of a multipart body with one image."""


class BodyLimitMiddleware:
    """Refuses a body that is declared too large before reading it, and stops one that grows so.

    It also refuses bodies for which there is no room beside the others, and gives up those that
    come too slowly. Bodies of jobs take no room: they are written to disk, few at a time.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, room: Slots) -> None:
        self._app = app
        self._limits = limits
        self._room = room
        self._pace = Pace(limits.body_silence_seconds, limits.body_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = path_within(scope)
        limit, slug = self._limit(path, headers.get("content-type", "").lower().lstrip())
        takes_room = path != JOBS_PATH
        declared = declared_bytes(headers)
        with ExitStack() as stack:
            try:
                _refuse_encoded(scope["method"], headers)
                _refuse_beyond(limit, slug, declared)
                held = stack.enter_context(self._room.take(declared if takes_room else 0))
            except Problem as problem:
                response = problem.response(request_id=request_id_of(scope))
                await response(scope, receive, send)
                return

            def arrived(received: int) -> None:
                _refuse_beyond(limit, slug, received)
                if takes_room:
                    held.grow(received)

            await self._app(scope, watched(receive, self._pace, arrived), send)

    def _limit(self, path: str, content_type: str) -> tuple[int, str]:
        """By path first: what a client calls its body must not buy room where JSON is read."""
        if path == JOBS_PATH:
            return self._limits.max_job_bytes, "request-too-large"
        if path not in UPLOAD_PATHS:
            return MAX_TEXT_BYTES, "request-too-large"
        if not content_type.startswith("multipart/"):
            return self._limits.max_image_bytes, "image-too-large"
        framed = self._limits.max_image_bytes + _FRAMING_BYTES
        if path in ONE_IMAGE_PATHS and framed < self._limits.max_request_bytes:
            return framed, "image-too-large"
        return self._limits.max_request_bytes, "request-too-large"


def _refuse_encoded(method: str, headers: Headers) -> None:
    """Refuse a body that must be unpacked first: its size would say nothing of what it becomes."""
    named = ", ".join(headers.getlist("content-encoding")).strip()
    codings = {coding.strip().lower() for coding in named.split(",")}
    if method in _BODILESS or codings <= {"", "identity"}:
        return
    raise Problem(
        "unsupported-media-type",
        f"Content-Encoding {named[:100]!r} is not understood here; send the body as it is.",
        headers={"Accept-Encoding": "identity"},
    )


def _refuse_beyond(limit: int, slug: str, received: int) -> None:
    if received > limit:
        raise too_large(slug, limit)

"""How much the service takes on: bytes of a request body, and images accepted but not answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import Problem
from app.request_id import request_id_of

MAX_TEXT_BYTES = 1_048_576
"""Largest body of a path that takes no images: JSON documents."""
UPLOAD_PATHS = frozenset(
    {"/v1/attributions", "/v1/attributions/batch", "/v1/sources", "/v1/sources/batch"}
)
JOBS_PATH = "/v1/jobs"


class BodyLimitMiddleware:
    """Refuses a body that is declared too large before reading it, and stops one that grows so."""

    def __init__(
        self, app: ASGIApp, *, max_request_bytes: int, max_image_bytes: int, max_job_bytes: int
    ) -> None:
        self._app = app
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
        problem = too_large(slug, limit)
        if declared_bytes(headers) > limit:
            await problem.response(request_id=request_id_of(scope))(scope, receive, send)
            return
        await self._app(scope, capped(receive, limit, problem), send)

    def _limit(self, path: str, content_type: str) -> tuple[int, str]:
        """By path first: what a client calls its body must not buy room where JSON is read."""
        if path == JOBS_PATH:
            return self._max_job_bytes, "request-too-large"
        if path not in UPLOAD_PATHS:
            return MAX_TEXT_BYTES, "request-too-large"
        if content_type.startswith("multipart/"):
            return self._max_request_bytes, "request-too-large"
        return self._max_image_bytes, "image-too-large"


def too_large(slug: str, limit: int) -> Problem:
    """The problem of a body beyond `limit` bytes."""
    return Problem(
        slug,
        f"The body is larger than the {limit / 1e6:.3g} MB allowed here: send a smaller or more "
        "strongly compressed image, or fewer at a time.",
    )


def declared_bytes(headers: Headers) -> int:
    """Content-Length, or 0 where there is none (the server has refused a malformed one)."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def capped(receive: Receive, limit: int, problem: Problem) -> Receive:
    """`receive`, raising `problem` once more than `limit` bytes of body have arrived."""
    received = 0

    async def receive_capped() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                raise problem
        return message

    return receive_capped


class Slots:
    """Counts images in flight, so that work beyond the limit is refused instead of piling up.

    `unit` names what is counted, where it is not images.
    """

    def __init__(self, limit: int, *, unit: str = "images") -> None:
        self._limit = limit
        self._unit = unit
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Images in flight."""
        return self._taken

    def refuse_when_full(self) -> None:
        """Refuse before a body is read when nothing could be accepted anyway.

        Raises:
            Problem: 503 `overloaded`.
        """
        if self._taken >= self._limit:
            raise self._overloaded()

    @contextmanager
    def take(self, count: int) -> Iterator[None]:
        """Hold `count` slots, all or none.

        Raises:
            Problem: 503 `overloaded`.
        """
        with self._lock:
            if self._taken + count > self._limit:
                raise self._overloaded()
            self._taken += count
        try:
            yield
        finally:
            with self._lock:
                self._taken -= count

    def _overloaded(self) -> Problem:
        return Problem(
            "overloaded",
            f"{self._taken} {self._unit} are being worked on, of at most {self._limit}.",
            retry_after=1,
        )

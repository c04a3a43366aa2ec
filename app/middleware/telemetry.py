"""Outermost layer: measures, logs and traces every request; must not touch bodies or headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import Metrics

logger = logging.getLogger("app.requests")

_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged at debug level, and not traced."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Span(Protocol):
    """A request in a trace."""

    def end(self, *, name: str, route: str, status: int) -> None:
        """The request is answered."""


class Tracer(Protocol):
    """Where spans go; `app.telemetry.tracing` has the real one."""

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """The span of one request, current within the block."""

    def close(self) -> None:
        """Send what waits, then stop."""


class TelemetryMiddleware:
    """Times requests by the template of their route, and writes one log line for each."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracer: Tracer | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._tracer is None or scope["path"] in _QUIET:
            await self._timed(scope, receive, send)
            return
        with self._tracer.request(scope) as span:
            status = await self._timed(scope, receive, send)
            route = route_of(scope)
            span.end(name=f"{_method(scope)} {route}", route=route, status=status)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> int:
        started = time.perf_counter()
        status = 499  # nothing was sent: the client has gone

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            self._note(scope, status, time.perf_counter() - started)
        return status

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = _method(scope), route_of(scope)
        self._metrics.request(method, route, status, seconds)
        fields: dict[str, Any] = {
            "request_id": scope.get("state", {}).get("request_id"),
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(1000 * seconds, 1),
        }
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
        logger.log(
            level, "%s %s %d in %.1f ms", method, route, status, 1000 * seconds, extra=fields
        )


def route_of(scope: Scope) -> str:
    """The template of the route that answered, such as `/v1/sources/{source_id}`.

    A path that no route has is `unmatched`: what strangers ask for must not make labels.
    """
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "OTHER"

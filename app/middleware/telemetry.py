"""Measures, logs and traces every request, outside all but proxies; touches no body or header."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.addresses import path_within
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:  # needs an extra
    from app.telemetry.tracing import RequestTracer

logger = logging.getLogger("app.requests")

_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged at debug level, and not traced."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class TelemetryMiddleware:
    """Times requests by the template of their route, and writes one log line for each."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracer: RequestTracer | None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._tracer is None or path_within(scope) in _QUIET:
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
        level = logging.DEBUG if path_within(scope) in _QUIET else logging.INFO
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

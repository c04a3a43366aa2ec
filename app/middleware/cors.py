"""Which pages of other sites may call: those that the operator names, and none by default.

It lets a browser send and read; who may call at all, keys decide.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SENT = ("Authorization", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-ID")
_READ = (
    "ETag", "Location", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
    "WWW-Authenticate", "X-Request-ID",
)  # fmt: skip


class NamedOriginsMiddleware(CORSMiddleware):
    """Starlette's, for origins in any case, whose pages may also show the pictures they get."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        super().__init__(app, origins, _METHODS, _SENT, expose_headers=_READ)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface. A preflight of another origin is refused by what lies within."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self.is_allowed_origin(headers.get("origin", "")):
            await super().__call__(scope, receive, send)
        else:
            await self.simple_response(scope, receive, send, headers)

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether it is one of those named."""
        return origin.lower() in self.allow_origins

    def preflight_response(self, request_headers: Headers) -> Response:
        """What may be sent, without a body; the browser compares."""
        headers = super().preflight_response(request_headers).headers
        del headers["Content-Type"], headers["Content-Length"]
        return Response(status_code=204, headers=dict(headers))

    @staticmethod
    def allow_explicit_origin(headers: MutableHeaders, origin: str) -> None:
        """Mark a response that a page of `origin` may read."""
        CORSMiddleware.allow_explicit_origin(headers, origin)
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"

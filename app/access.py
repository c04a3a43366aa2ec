"""Who may call a service that has no keys: no web page of anybody else's, wherever it listens.

Any page in a browser can send requests to any address that its user reaches, so a request that
comes from a page must come from the service's own. Listening on loopback, the service answers this
machine only: then a request must also name a local host, and not have been forwarded, since a
proxy makes remote callers look local.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.problems import Problem
from app.request_id import request_id_of

_FORWARDING_HEADERS = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)
_OWN_SITES = ("same-origin", "none")


class OwnPagesMiddleware:
    """Refuses requests of other sites' pages, and what is not plainly local, with a 403 problem."""

    def __init__(self, app: ASGIApp, *, local_only: bool) -> None:
        self._app = app
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reason = reason_to_refuse(
            Headers(scope=scope), scheme=scope["scheme"], local_only=self._local_only
        )
        if reason is None:
            await self._app(scope, receive, send)
            return
        answers = "programs and pages of its own machine" if self._local_only else "its own pages"
        problem = Problem(
            "cross-site-request",
            f"{reason}. This service has no keys, so of all pages it answers only {answers}.",
        )
        await problem.response(request_id=request_id_of(scope))(scope, receive, send)


def reason_to_refuse(headers: Headers, *, scheme: str, local_only: bool = True) -> str | None:
    """Why a request is not one to answer, in words for its sender; None when it is."""
    host = headers.get("host", "")
    if local_only and (reason := _why_not_local(headers, host)):
        return reason
    site = headers.get("sec-fetch-site", "none")
    if site not in _OWN_SITES:
        return f"A page of another site sent the request (Sec-Fetch-Site: {site})"
    origin = headers.get("origin")
    if origin is None:
        return None
    own = origin.lower() == f"{scheme}://{host}".lower()
    if not local_only:  # behind a proxy that ends TLS the scheme differs
        own = urlsplit(origin).netloc.lower() == host.lower()
    return None if own else f"A page of another origin sent the request (Origin: {origin!r})"


def _why_not_local(headers: Headers, host: str) -> str | None:
    forwarded = [name for name in _FORWARDING_HEADERS if name in headers]
    if forwarded:
        return f"The request was forwarded (header {forwarded[0]})"
    if len(headers.getlist("host")) != 1 or not _is_local(host):
        return f"The Host header {host!r} does not name this machine"
    return None


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost":
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

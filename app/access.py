"""Who may call a service that has no keys: this machine, and no web page of anybody else's.

Any page in a browser can send requests to an address on the same machine, and a proxy makes remote
callers look local. So a request must name a local host, come from the service's own origin when it
comes from a page, and not have been forwarded.
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


class LocalOnlyMiddleware:
    """Refuses what is not plainly local with a 403 problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reason = reason_to_refuse(Headers(scope=scope), scheme=scope["scheme"])
        if reason is None:
            await self._app(scope, receive, send)
            return
        problem = Problem("cross-site-request", f"{reason}. This service has no keys, so it "
                          "answers only programs and pages of its own machine.")  # fmt: skip
        await problem.response(request_id=request_id_of(scope))(scope, receive, send)


def reason_to_refuse(headers: Headers, *, scheme: str) -> str | None:
    """Why a request is not plainly local, in words for its sender; None when it is."""
    forwarded = [name for name in _FORWARDING_HEADERS if name in headers]
    if forwarded:
        return f"The request was forwarded (header {forwarded[0]})"
    host = headers.get("host", "")
    if len(headers.getlist("host")) != 1 or not _is_local(host):
        return f"The Host header {host!r} does not name this machine"
    site = headers.get("sec-fetch-site", "none")
    if site not in _OWN_SITES:
        return f"A page of another site sent the request (Sec-Fetch-Site: {site})"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"{scheme}://{host}".lower():
        return f"A page of another origin sent the request (Origin: {origin!r})"
    return None


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost":
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

"""Who may call a service that has no keys: no web page of anybody else's, wherever it listens.

Any page in a browser can send requests to any address that its user reaches, so a request that
comes from a page must come from the service's own. Listening on loopback, the service answers this
machine only: then a request must also name a local host, and not have been forwarded, since a
proxy makes remote callers look local.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_FORWARDING_HEADERS = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-original-host",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
)
_OWN_SITES = ("same-origin", "none")


def reason_to_refuse(
    headers: Headers,
    *,
    scheme: str,
    local_only: bool = True,
    origins: Collection[str] = (),
) -> str | None:
    """Why a request is not one to answer, in words for its sender; None when it is.

    Args:
        headers: of the request.
        scheme: `http` or `https`.
        local_only: whether the service answers this machine alone.
        origins: other sites whose pages may call, in lower case.
    """
    host = headers.get("host", "")
    if local_only and (reason := _why_not_local(headers, host)):
        return reason
    sent = headers.getlist("origin")
    if len(sent) > 1:
        return "The request names several origins"
    origin = sent[0].lower() if sent else None
    if origin in origins:
        return None
    site = headers.get("sec-fetch-site", "none")
    if site not in _OWN_SITES:
        return f"A page of another site sent the request (Sec-Fetch-Site: {site})"
    if origin is None:
        return None
    own = origin == f"{scheme}://{host}".lower()
    if not local_only:  # behind a proxy that ends TLS the scheme differs
        own = urlsplit(origin).netloc == host.lower()
    return None if own else f"A page of another origin sent the request (Origin: {sent[0]!r})"


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

"""What a proxy in front says of a request: who asked, how, and under which prefix of paths.

Told by anybody but a trusted proxy it is not heard. Outermost, so that whatever lies within sees
the request as its sender has made it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app import addresses


class ProxiesMiddleware:
    """Believes the forwarding headers of trusted proxies, and finds the prefix of the paths.

    A prefix may stand in the path that arrives or have been cut off by the proxy: both are served.
    `scope["path"]` begins with `scope["root_path"]` afterwards, as routers have it.
    """

    def __init__(self, app: ASGIApp, *, root_path: str, trusted: Sequence[str]) -> None:
        self._app = app
        self._root_path = root_path
        self._senders = ProxyHeadersMiddleware(cast("Any", app), list(trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope.get("client"):
            host, port = scope["client"]
            scope["client"] = (_plain(host), port)
        prefix = self._prefix(scope)
        path = scope["path"]
        scope["root_path"] = prefix
        if path == prefix:
            scope["path"] = f"{prefix}/"
        elif not path.startswith(f"{prefix}/"):
            scope["path"] = prefix + path
        token = addresses.enter(prefix)
        try:
            await self._senders(cast("Any", scope), cast("Any", receive), cast("Any", send))
        finally:
            addresses.leave(token)

    def _prefix(self, scope: Scope) -> str:
        """That of the request, where a trusted proxy says one; else that of the settings."""
        told = Headers(scope=scope).getlist("x-forwarded-prefix")
        host = scope["client"][0] if scope.get("client") else None
        if told and host in self._senders.trusted_hosts:
            try:
                # Each proxy that cuts off a part of the path adds that part.
                parts = [addresses.clean_prefix(part) for part in ",".join(told).split(",")]
            except ValueError:
                return self._root_path
            return "".join(parts)
        return self._root_path


def _plain(host: str) -> str:
    """An IPv4 address as such, which a socket for both families writes as one of IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return host if mapped is None else str(mapped)

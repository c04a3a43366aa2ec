"""The way to a running service: which addresses a request, and a key, may go to."""

from __future__ import annotations

import ssl
from functools import cache

import httpx

from app.cli.failures import BadInvocation
from attribution_client.proxies import sent_directly

_TIMEOUT_SECONDS = 60.0


def connect(url: str, key: str | None) -> httpx.Client:
    """A client of the service at `url`.

    The environment's proxies are used, but never on the way to this machine, and never with a key
    that nothing would hide from them.

    Raises:
        BadInvocation: that is no address of a service, or the key would be told to a proxy.
    """
    try:
        address = httpx.URL(url.rstrip("/"))
    except (httpx.InvalidURL, ValueError) as error:
        raise BadInvocation(f"--url {url!r} is no address: {error}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise BadInvocation(f"--url {url!r} is no address: write http://HOST:PORT or https://HOST")
    headers = {} if key is None else {"Authorization": f"Bearer {_sendable(key)}"}
    try:
        direct = sent_directly(address, keyed=key is not None)
    except ValueError as error:
        raise BadInvocation(str(error)) from error
    return httpx.Client(
        base_url=address,
        headers=headers,
        timeout=_TIMEOUT_SECONDS,
        verify=_trusted(),
        mounts=direct,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates count; read once, for httpx would for each proxy that is named."""
    return httpx.create_ssl_context()


def _sendable(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable():
        raise BadInvocation(
            "--key-file or ATTRIBUTION_API_KEY holds no key: a key is one line of ASCII"
        )
    return key

"""The way to a running service: which addresses a request, and a key, may go to."""

from __future__ import annotations

import ipaddress
import ssl
from functools import cache
from urllib.request import getproxies, proxy_bypass

import httpx

from app.cli.failures import BadInvocation

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
    headers, plain = {}, address.scheme == "http"
    if key is not None:
        headers["Authorization"] = f"Bearer {_sendable(key)}"
    local = is_loopback(address.host)
    if plain and key is not None and not local:
        _refuse_proxy(address)
    direct = local or (plain and key is not None)
    return httpx.Client(
        base_url=address,
        headers=headers,
        timeout=_TIMEOUT_SECONDS,
        verify=_trusted(),
        mounts={_pattern(address.host): None} if direct else None,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates count; read once, for httpx would for each proxy that is named."""
    return httpx.create_ssl_context()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or number."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _sendable(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable():
        raise BadInvocation(
            "--key-file or ATTRIBUTION_API_KEY holds no key: a key is one line of ASCII"
        )
    return key


def _refuse_proxy(address: httpx.URL) -> None:
    """A proxy reads what is not encrypted, and a key is a secret."""
    proxies = getproxies()
    proxy = proxies.get("http") or proxies.get("all")
    if proxy and not proxy_bypass(address.host):
        raise BadInvocation(
            f"the key would be readable to the proxy that HTTP_PROXY or ALL_PROXY names: use "
            f"https://{address.host}, or reach it directly with NO_PROXY={address.host}"
        )


def _pattern(host: str) -> str:
    return f"all://[{host}]" if ":" in host else f"all://{host}"

"""Which requests pass by the proxies that the environment names: no key may be readable to one."""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies, proxy_bypass

import httpx


def sent_directly(address: httpx.URL, *, keyed: bool) -> dict[str, None] | None:
    """What httpx takes as `mounts`: the way to this machine, and that of a key which nothing hides.

    Args:
        address: of the service.
        keyed: whether a key is sent along.

    Raises:
        ValueError: a proxy would read the key.
    """
    local, plain = is_loopback(address.host), address.scheme == "http"
    if plain and keyed and not local:
        proxies = getproxies()
        if (proxies.get("http") or proxies.get("all")) and not proxy_bypass(address.host):
            raise ValueError(
                f"the key would be readable to the proxy that HTTP_PROXY or ALL_PROXY names: use "
                f"https://{address.host}, or reach it directly with NO_PROXY={address.host}"
            )
    return {_pattern(address.host): None} if local or (plain and keyed) else None


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


def _pattern(host: str) -> str:
    return f"all://[{host}]" if ":" in host else f"all://{host}"

"""Where a message may go: the address that a name stands for, looked up once and held to."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import httpx

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(ValueError):
    """A name stands for an address that messages may not go to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes: `url` names the address itself, `host` and `name` whom it is for."""

    url: httpx.URL
    host: str
    name: str


def place_of(url: str, *, private: bool) -> Place:
    """The place that an address stands for now; a name is not looked up again.

    Args:
        url: as the operator has listed it.
        private: whether this machine and private networks are places too.

    Raises:
        Forbidden: one of the addresses of the name is not one of the public internet.
        OSError: the name cannot be looked up.
    """
    wanted = httpx.URL(url)
    found = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    if not addresses:
        raise OSError(f"{wanted.host} has no address")
    for address in addresses:
        if not private and not is_public(address):
            raise Forbidden(
                f"{wanted.host} is {address}, which is no address of the public internet; "
                "ATTRIBUTION_WEBHOOK_PRIVATE=true allows it"
            )
    netloc = wanted.netloc.decode("ascii")
    return Place(wanted.copy_with(host=str(addresses[0])), netloc, wanted.host)


def is_public(address: IpAddress) -> bool:
    """Whether an address, and every one that is written into it, is of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(each is not None and not is_public(each) for each in inner):
            return False
        if address in _NAT64 or address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast

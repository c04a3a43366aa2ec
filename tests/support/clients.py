"""Clients that a library would not let misbehave: slow, silent, or gone half way."""

import json
import socket
import ssl
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from tests.support.waiting import PATIENCE

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: reading who is to be trusted would take longer than a request."""


def client(url: str, **options) -> httpx.Client:
    """A client that goes straight to a service on this machine."""
    return httpx.Client(base_url=url, verify=NO_TLS, trust_env=False, **options)


@contextmanager
def connected(url: str, timeout: float = PATIENCE):
    """A plain connection to a service."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=timeout) as raw:
        yield raw


def get(url: str, **options) -> httpx.Response:
    """The answer of a service on this machine to one GET."""
    return httpx.get(url, verify=NO_TLS, trust_env=False, **options)


def head(length: int, path: str = "/v1/attributions", *extra: str) -> bytes:
    """The head of a POST whose body, an image, has so many bytes."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: image/jpeg",
        f"Content-Length: {length}",
        *extra,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def read_response(raw: socket.socket) -> tuple[int, dict]:
    """The status and the JSON body of one response that closes its connection or has a length."""
    with raw.makefile("rb") as file:
        status = int(file.readline().split()[1])
        length = 0
        while line := file.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, json.loads(file.read(length))

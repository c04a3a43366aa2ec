"""How the service listens: in front or beside, and what one connection may cost before it asks.

A request that has come is the business of middleware. Here are those that never come: connections
that send nothing, or a byte now and then, and more of them than there are descriptors for. And
those that ask and do not read.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import ipaddress
import json
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, ClassVar, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from app.problems.problem import MEDIA_TYPE, Problem
from app.settings import Settings
from app.settings.limits import Limits

_DID_NOT_START = 3
_BACKLOG = 2048
_POLL_SECONDS = 0.01
_LINGER_SECONDS = 1.0
_MOST_LINGERING = 64


class ServerDidNotStart(RuntimeError):
    """The server ended before it listened; its log says why."""


class LimitedProtocol(H11Protocol):
    """One connection, closed when it is one too many or its next request does not come.

    And when nobody reads what it is answered: what the system's buffers do not take waits here.
    Between requests of a connection the server's own limit for idle ones holds.
    """

    limits: ClassVar[Limits]
    lingering: ClassVar[set[LimitedProtocol]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._resumed = False
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Part of `asyncio.Protocol`."""
        super().connection_made(transport)
        _send_at_once(transport)
        self._expect_reading(None)
        if len(self.connections) > self.limits.max_connections:
            self._refuse()
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self._refused:
            return
        super().data_received(data)
        cycle = self._cycle
        answered = cycle is not None and cycle.response_complete
        # A body that nobody reads any more is followed by a request as well.
        if self.conn.their_state is not h11.IDLE and not answered:
            self._forget_head()
        elif self._head_timer is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._forget_head()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        self.lingering.discard(self)
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._resumed = True
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every other error is answered."""
        cycle = self._cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_response(Problem("malformed-body", msg)))
        self.transport.close()

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        """The latest request; None before the first."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_seconds, self._head_is_late)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            problem = Problem(
                "request-timeout",
                f"No whole request came within {self.limits.head_seconds:g} seconds.",
            )
            self.transport.write(_response(problem))
        self.transport.close()

    def _expect_reading(self, waiting: int | None) -> None:
        self._resumed = False
        self._unread_timer = self.loop.call_later(
            self.limits.body_silence_seconds, self._look_whether_read, waiting
        )

    def _look_whether_read(self, before: int | None) -> None:
        """Cut the connection where less has been read of what waited before than must have been."""
        waiting, limits = self._waiting, self.limits
        least = int(limits.body_silence_seconds * limits.body_rate)
        if before is None or waiting is None or self._resumed:
            self._expect_reading(waiting)
        elif before - waiting < min(before, max(1, least)):
            self.transport.abort()
        else:
            self._expect_reading(waiting)

    @property
    def _waiting(self) -> int | None:
        """Bytes that the client has not taken; None unless all there is waits for just that."""
        if not (self.flow.write_paused or self.transport.is_closing()):
            return None
        return self.transport.get_write_buffer_size() + _queued(self.transport)

    def _refuse(self) -> None:
        """Say that it is one too many, in time for a client that speaks first to read it."""
        self._refused = True
        self.connections.discard(self)
        problem = Problem(
            "overloaded",
            f"{self.limits.max_connections:,} connections are open, and no more may be.",
            retry_after=1,
        )
        self.transport.write(_response(problem))
        if len(self.lingering) >= _MOST_LINGERING:
            self.transport.close()
            return
        # Closed at once, with a request of it unread, the connection would be reset, and the
        # answer lost.
        self.lingering.add(self)
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def _send_at_once(transport: asyncio.Transport) -> None:
    """Do not let a body wait for the acknowledgement of its head, which takes 40 ms.

    asyncio asks for this itself, but only where the listener was made with the protocol TCP, as
    one made by `socket.socket()` or `socket.create_server` was not.
    """
    held = transport.get_extra_info("socket")
    if held is not None and held.family in {socket.AF_INET, socket.AF_INET6}:
        held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _queued(transport: asyncio.Transport) -> int:
    """Bytes in the system's buffer that the other end has not acknowledged, where it tells.

    It takes more in steps as large as itself, between which a slow reader would look like none.
    """
    held = transport.get_extra_info("socket")
    try:
        [queued] = struct.unpack("i", fcntl.ioctl(held.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except (AttributeError, OSError):
        return 0
    return int(queued)


def run(app: FastAPI, settings: Settings, on_listening: Callable[[str], None]) -> None:
    """Serve until a signal says to stop; what was accepted is finished first.

    Args:
        app: what is served.
        settings: where and within which limits.
        on_listening: told once where this machine's programs reach it, such as
            `http://127.0.0.1:8000`.

    Raises:
        SystemExit: the service could not start.
    """
    config = server_config(app, settings, log_config=None)  # its lines go to ours
    server = _Announced(config, on_listening)
    gc.freeze()  # a third of a million objects that stay: to look through them holds every thread
    gc.enable()
    with suppress(KeyboardInterrupt), _listeners(settings) as listeners:
        server.run(listeners)
    if not server.started:
        raise SystemExit(_DID_NOT_START)


class _Announced(uvicorn.Server):
    """A server that says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Part of `uvicorn.Server`."""
        await super().startup(sockets)
        for listening in (held for server in self.servers for held in server.sockets):
            self._on_listening(_url_of(*listening.getsockname()[:2]))
            return


def _url_of(host: str, port: int) -> str:
    """Where a program of this machine reaches what is bound to an address."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


@contextmanager
def _listeners(settings: Settings) -> Iterator[list[socket.socket] | None]:
    """A socket for both families where the host is `::`; else None, and the server makes its own.

    What it makes itself for an address of IPv6 hears no IPv4, not even for "any address".
    """
    if not _is_any_ipv6(settings.host):
        yield None
        return
    with socket.create_server(
        (settings.host, settings.port),
        family=socket.AF_INET6,
        backlog=_BACKLOG,
        dualstack_ipv6=True,
    ) as listener:
        yield [listener]


def _is_any_ipv6(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 6 and address.is_unspecified


@contextmanager
def run_beside(
    app: FastAPI, settings: Settings, listener: socket.socket, **options: Any
) -> Iterator[uvicorn.Server]:
    """Serve on a bound socket, from a thread, until the block ends; `options` as `server_config`.

    Raises:
        ServerDidNotStart: it does not listen.
    """
    server = uvicorn.Server(server_config(app, settings, **options))
    thread = threading.Thread(target=server.run, args=([listener],), name="server", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServerDidNotStart("the server ended before it listened")
            time.sleep(_POLL_SECONDS)
        yield server
    finally:
        server.should_exit = True
        thread.join()


def server_config(app: FastAPI, settings: Settings, **options: Any) -> uvicorn.Config:
    """The server's configuration; `options` are further ones of uvicorn."""

    class Protocol(LimitedProtocol):
        """The protocol of this server; connections are made by the class."""

    Protocol.limits, Protocol.lingering = settings, set()
    options.setdefault("proxy_headers", False)  # the application hears proxies itself
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        ws="none",
        server_header=False,
        access_log=False,  # would write whole addresses, queries included
        timeout_graceful_shutdown=settings.shutdown_seconds,
        **options,
    )


def _response(problem: Problem) -> bytes:
    body = json.dumps(problem.document()).encode()
    status = HTTPStatus(problem.status_code)
    headers = {
        **(problem.headers or {}),
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body

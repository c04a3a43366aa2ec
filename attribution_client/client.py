"""Sends calls and reads answers, again where the service has no time; to call, and to await.

What is repeated may be: attributing changes nothing, a collection holds the same bytes once, and a
job has a key of idempotency. Where the answer to a deletion was lost, the next says that there is
nothing (404); where that to a change with `if_match` was, that it is no longer so (412).
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import httpx
from pydantic import ValidationError

from attribution_client.calls import Call, Read
from attribution_client.errors import BrokenOff, NotAnswered, NotTheService, Refused
from attribution_client.operations import AsyncOperations, Operations
from attribution_client.proxies import sent_directly

_RETRIED = (429, 502, 503, 504)
_NOTHING = (204, 304)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_TIMEOUT_SECONDS = 60.0
_SENDABLE_KEY = re.compile(r"[!-~]+")
_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""What keeps a request from being sent at all, however often that is tried."""


@dataclass(slots=True)
class _Patience:
    """How long one call is sent again, and how long until the next time."""

    seconds: float
    started: float
    pause: float = _FIRST_PAUSE_SECONDS

    def next(self, response: httpx.Response | None, error: httpx.TransportError | None) -> float:
        """Seconds to wait, as `Retry-After` has it or twice as many as before.

        Raises:
            NotAnswered: the call has waited for long enough, and nobody was there.
            Refused: likewise, and this is what the service has said last.
        """
        wanted = "" if response is None else response.headers.get("retry-after", "")
        asked = float(wanted) if wanted.isdecimal() else 0.0
        pause = max(self.pause, min(asked, _LONGEST_PAUSE_SECONDS))
        late = time.monotonic() + pause > self.started + self.seconds
        if late or isinstance(error, _HOPELESS):
            if response is not None:
                raise Refused.by(response)
            raise NotAnswered(f"it cannot be reached: {error}") from error
        self.pause = min(2 * self.pause, _LONGEST_PAUSE_SECONDS)
        return pause


class _Reading:
    """What both kinds of client do with a response."""

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def _wait(self) -> _Patience:
        return _Patience(self._patience, time.monotonic())

    @staticmethod
    def _document_of(response: httpx.Response, kind: type[Read]) -> Read:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise NotTheService(
                f"{response.url} does not answer as the service would: {error}"
            ) from error

    @staticmethod
    def _line_of(line: bytes) -> dict[str, Any]:
        try:
            read = json.loads(line)
        except ValueError as error:
            raise NotTheService(f"a line is no JSON: {error}") from error
        if not isinstance(read, dict):
            raise NotTheService("a line is no JSON object")
        return read


class _Lines:
    """Lines out of bytes as they come; a text in one may hold other ends of lines than its own."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, chunk: bytes) -> list[bytes]:
        """The lines that end in a chunk."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return [line for line in whole if line]


class Client(_Reading, Operations):
    """A service that is called; safe in several threads.

    Args:
        url: address of the service, such as `http://127.0.0.1:8000`.
        key: an API key, sent with every call. The environment's proxies are used, but never on the
            way to this machine, and never with a key that nothing would hide from them.
        patience: seconds for which a call is sent again that was not received, or that was
            answered 429, 502, 503 or 504.
        http: sends the requests in the place of one that is made here; `url` and `key` are then
            its own, and closing it is its owner's business.

    Raises:
        ValueError: no header can carry this key, or a proxy would read it.
    """

    def __init__(
        self,
        url: str = "",
        *,
        key: str | None = None,
        patience: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(patience)
        self._owned = http is None
        self.http = http or httpx.Client(
            base_url=url.rstrip("/"),
            headers=_headers(key),
            timeout=_TIMEOUT_SECONDS,
            verify=_trusted(),
            mounts=sent_directly(httpx.URL(url), keyed=key is not None),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._owned:
            self.http.close()

    @contextmanager
    def _sent(self, call: Call, patience: _Patience) -> Iterator[httpx.Response]:
        """The response to a call, not read yet.

        Raises:
            Refused: it is a problem.
            NotAnswered: there is none.
        """
        parts = call.parts
        while True:
            try:
                response = self.http.send(
                    self.http.build_request(call.verb, call.path, **parts), stream=True
                )
                if response.status_code not in _RETRIED:
                    break
                response.read()
                pause = patience.next(response, None)
            except httpx.TransportError as error:
                pause = patience.next(None, error)
            time.sleep(pause)
        try:
            if not (response.is_success or response.status_code in _NOTHING):
                response.read()
                raise Refused.by(response)
            yield response
        finally:
            response.close()

    def _read(self, call: Call) -> httpx.Response:
        patience = self._wait()
        while True:
            try:
                with self._sent(call, patience) as response:
                    response.read()
                    return response
            except httpx.TransportError as error:  # it broke off in the middle
                time.sleep(patience.next(None, error))

    def _document(self, call: Call, kind: type[Read]) -> Read:
        return self._document_of(self._read(call), kind)

    def _document_or_none(self, call: Call, kind: type[Read]) -> Read | None:
        response = self._read(call)
        return None if response.status_code in _NOTHING else self._document_of(response, kind)

    def _text(self, call: Call) -> str:
        return self._read(call).text

    def _bytes_or_none(self, call: Call) -> bytes | None:
        response = self._read(call)
        return None if response.status_code in _NOTHING else response.content

    def _lines(self, call: Call) -> Iterator[dict[str, Any]]:
        lines = _Lines()
        try:
            with self._sent(call, self._wait()) as response:
                for chunk in response.iter_bytes():
                    for line in lines.of(chunk):
                        yield self._line_of(line)
                for line in lines.of(b"\n"):  # one that does not end
                    yield self._line_of(line)
        except httpx.TransportError as error:
            raise BrokenOff(f"it broke off: {error}") from error


class AsyncClient(_Reading, AsyncOperations):
    """A service that is awaited; see `Client`."""

    def __init__(
        self,
        url: str = "",
        *,
        key: str | None = None,
        patience: float = 60.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(patience)
        self._owned = http is None
        self.http = http or httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers=_headers(key),
            timeout=_TIMEOUT_SECONDS,
            verify=_trusted(),
            mounts=sent_directly(httpx.URL(url), keyed=key is not None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        if self._owned:
            await self.http.aclose()

    @asynccontextmanager
    async def _sent(self, call: Call, patience: _Patience) -> AsyncIterator[httpx.Response]:
        """See `Client._sent`."""
        parts = call.parts
        while True:
            try:
                response = await self.http.send(
                    self.http.build_request(call.verb, call.path, **parts), stream=True
                )
                if response.status_code not in _RETRIED:
                    break
                await response.aread()
                pause = patience.next(response, None)
            except httpx.TransportError as error:
                pause = patience.next(None, error)
            await asyncio.sleep(pause)
        try:
            if not (response.is_success or response.status_code in _NOTHING):
                await response.aread()
                raise Refused.by(response)
            yield response
        finally:
            await response.aclose()

    async def _read(self, call: Call) -> httpx.Response:
        patience = self._wait()
        while True:
            try:
                async with self._sent(call, patience) as response:
                    await response.aread()
                    return response
            except httpx.TransportError as error:  # it broke off in the middle
                await asyncio.sleep(patience.next(None, error))

    async def _document(self, call: Call, kind: type[Read]) -> Read:
        return self._document_of(await self._read(call), kind)

    async def _document_or_none(self, call: Call, kind: type[Read]) -> Read | None:
        response = await self._read(call)
        return None if response.status_code in _NOTHING else self._document_of(response, kind)

    async def _text(self, call: Call) -> str:
        return (await self._read(call)).text

    async def _bytes_or_none(self, call: Call) -> bytes | None:
        response = await self._read(call)
        return None if response.status_code in _NOTHING else response.content

    async def _lines(self, call: Call) -> AsyncIterator[dict[str, Any]]:
        lines = _Lines()
        try:
            async with self._sent(call, self._wait()) as response:
                async for chunk in response.aiter_bytes():
                    for line in lines.of(chunk):
                        yield self._line_of(line)
                for line in lines.of(b"\n"):  # one that does not end
                    yield self._line_of(line)
        except httpx.TransportError as error:
            raise BrokenOff(f"it broke off: {error}") from error


def _headers(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if not _SENDABLE_KEY.fullmatch(key):  # else the error of whoever sends it would spell it out
        raise ValueError("this is no API key: it is ASCII without blanks or ends of lines")
    return {"Authorization": f"Bearer {key}"}


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates count; reading them takes a while, so it is done once."""
    return httpx.create_ssl_context()

"""The body of a request that makes a job, written to disk as it arrives; decodes no image.

Neither the body nor a part of it is ever whole in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.jobs.archive import MAGIC, unpack
from app.problems.problem import Problem, invalid
from app.requests.parts import cut_short, options_of, refuse_encoded
from app.requests.uploads import MULTIPART
from app.settings.limits import Limits
from attribution.catalog import Jobs, NewItem
from attribution.catalog.jobs.inputs import Incoming

ARCHIVE = "application/zip"
_ARCHIVES = (ARCHIVE, "application/x-zip-compressed")
_FIELD = "files"
_BUFFERED = 1_048_576
_MAGIC_BYTES = 4


@dataclass(frozen=True, slots=True)
class Received:
    """The items of a new job, and a digest that is the same for the same files in one order."""

    items: list[NewItem]
    fingerprint: str


@asynccontextmanager
async def folder_for(jobs: Jobs) -> AsyncIterator[Incoming]:
    """A folder for the files of a new job, gone at the end unless a job was made of it."""
    incoming = await run_in_threadpool(jobs.receive)
    try:
        yield incoming
    finally:
        await run_in_threadpool(incoming.close)


async def receive(request: Request, incoming: Incoming, limits: Limits) -> Received:
    """Read the repeated multipart field `files`, or one zip as such a file or as the body.

    Raises:
        Problem: 400, 413, 415 or 422, saying what was expected.
        StorageFull, StorageUnwritable: the disk does not take it.
    """
    with incoming.writing():
        return await _received(request, incoming, limits)


async def _received(request: Request, incoming: Incoming, limits: Limits) -> Received:
    header = request.headers.get("content-type", "")
    media_type = header.partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        _, options = parse_options_header(header)
        parts = _Parts(options.get(b"boundary", b""), incoming, limits)
        await _feed(request, parts)
        return await run_in_threadpool(parts.finish)
    if media_type in _ARCHIVES:
        body = _ArchiveBody(incoming, limits)
        await _feed(request, body)
        return await run_in_threadpool(body.finish)
    raise Problem(
        "unsupported-media-type",
        f"Send {MULTIPART} with images or one zip as {_FIELD!r}, or a zip as {ARCHIVE}.",
    )


async def _feed(request: Request, sink: _Parts | _ArchiveBody) -> None:
    """Write the body to disk in threads, in pieces large enough to be worth the change."""
    buffer = bytearray()
    try:
        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= _BUFFERED:
                await run_in_threadpool(sink.write, bytes(buffer))
                buffer.clear()
        await run_in_threadpool(sink.write, bytes(buffer))
    finally:
        await run_in_threadpool(sink.close)


class _Part:
    """One file of the body: counted and digested whole, kept while it may be an image or a zip."""

    def __init__(self, filename: str, position: int, incoming: Incoming, max_bytes: int) -> None:
        self.filename = filename
        self.size = 0
        self.digest = hashlib.sha256()
        self.is_archive = False
        self._path = incoming.path(position)
        self._incoming = incoming
        self._max_bytes = max_bytes
        self._beginning = b""
        self._file: BinaryIO | None = self._path.open("xb")

    def write(self, data: bytes) -> None:
        if len(self._beginning) < _MAGIC_BYTES:
            self._beginning += data[: _MAGIC_BYTES - len(self._beginning)]
            self.is_archive = self._beginning in MAGIC
        self.size += len(data)
        self.digest.update(data)
        if self._file is None:
            return
        self._file.write(data)
        if self.size > self._max_bytes and not self.is_archive:
            self.close()
            self._path.unlink()  # the item will say that it is too large

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def move_aside(self) -> None:
        self._path.rename(self._incoming.archive)


class _Parts:
    """The callbacks of a multipart parser, which write every file part as an item."""

    def __init__(self, boundary: bytes, incoming: Incoming, limits: Limits) -> None:
        if not boundary:
            raise Problem("malformed-body", f"The Content-Type {MULTIPART} names no boundary.")
        self._incoming = incoming
        self._limits = limits
        self._parts: list[_Part] = []
        self._ended = False
        self._name = self._value = self._disposition = b""
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise Problem("malformed-body", f"{error}.") from error

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Problem("malformed-body", f"The multipart body is broken: {error}.") from error

    def close(self) -> None:
        if self._parts:
            self._parts[-1].close()

    def finish(self) -> Received:
        if not self._ended:
            raise cut_short()
        if not self._parts:
            raise invalid(f"body.{_FIELD}", "expected at least one file")
        fingerprint = hashlib.sha256()
        for part in self._parts:
            fingerprint.update(repr((part.filename, part.digest.hexdigest())).encode())
        return Received(self._items(), fingerprint.hexdigest())

    def _items(self) -> list[NewItem]:
        if not any(part.is_archive for part in self._parts):
            return [NewItem(part.filename or None, part.size) for part in self._parts]
        if len(self._parts) > 1:
            raise invalid(f"body.{_FIELD}", "expected images or one zip archive, got both")
        self._parts[0].move_aside()
        return _unpacked(self._incoming, self._limits)

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        refuse_encoded(self._name, self._value)
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        options = options_of(self._disposition)
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field != _FIELD:
            raise invalid(f"body.{_FIELD}", f"expected the multipart field, got {field[:100]!r}")
        if b"filename" not in options:
            raise invalid(f"body.{_FIELD}", "expected a file part with a filename, got a text part")
        if len(self._parts) == self._limits.max_job_images:
            raise Problem(
                "too-many-images",
                f"The request has more than the {self._limits.max_job_images:,} images allowed in "
                "a job.",
            )
        filename = options[b"filename"].decode("utf-8", "replace")
        position = len(self._parts)
        self._parts.append(_Part(filename, position, self._incoming, self._limits.max_image_bytes))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._parts[-1].write(data[start:end])

    def _end(self) -> None:
        self._ended = True


class _ArchiveBody:
    """A body that is a zip archive."""

    def __init__(self, incoming: Incoming, limits: Limits) -> None:
        self._incoming = incoming
        self._limits = limits
        self._digest = hashlib.sha256()
        self._file = incoming.archive.open("xb")

    def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._file.write(chunk)

    def close(self) -> None:
        self._file.close()

    def finish(self) -> Received:
        return Received(_unpacked(self._incoming, self._limits), self._digest.hexdigest())


def _unpacked(incoming: Incoming, limits: Limits) -> list[NewItem]:
    items = unpack(incoming.archive, incoming, limits)
    incoming.archive.unlink()
    return items

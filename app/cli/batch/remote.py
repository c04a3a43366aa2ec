"""Answers a batch by the jobs of a running service; waits for one that restarts.

Images go in lots that are the same at every run, each under an idempotency key made of its
contents: a run that was interrupted finds the job it has sent before. A lot that is refused for
what is in it goes again in halves, until each of its images has a line of its own. While the
service works on one lot, the next is sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.cli.batch.connection import connect
from app.cli.batch.results import REQUEST_ID, Results, ResultsFile
from app.cli.console import fail_about
from app.jobs.archive import MAGIC
from attribution.files import regular_file
from attribution_client import BrokenOff, Client, ClientError, NotAnswered, Refused
from models.images.errors import ImageError, ImageTooLarge, UnsupportedImage

LOT_IMAGES = 256
LOT_BYTES = 64_000_000
_LARGEST = 4 * LOT_BYTES
"""Bytes of a file that is not even sent."""
_JOBS = 2
"""Lots that the service has at a time."""
_POLL_SECONDS = 0.5
_FIRST_SECONDS = 3.0
_PATIENCE_SECONDS = 120.0
_GONE = 404


class RemoteFailed(RuntimeError):
    """The service refused a lot, or could not be reached for too long."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class _Sent:
    """A job of the service, and the images that it is about, in order."""

    job_id: str
    paths: tuple[Path, ...]


def answer_remotely(
    url: str,
    key: str | None,
    paths: Sequence[Path],
    parameters: Mapping[str, Any],
    written: ResultsFile,
) -> Results:
    """Answer those of `paths` that are not `written` yet, lot after lot.

    Raises:
        BadInvocation: `url` is no address, or the key may not go there.
        RemoteFailed: the service refuses, is not there at the start, or does not answer for two
            minutes later on.
    """
    with connect(url, key) as http:
        _find(http)
        client = Client(http=http, patience=_PATIENCE_SECONDS)
        try:
            yield from _answered(client, paths, parameters, written)
        except NotAnswered as error:
            raise RemoteFailed(
                f"{http.base_url}: {error}; run this again later, it goes on where it was"
            ) from error
        except ClientError as error:
            raise RemoteFailed(str(error)) from error


def _answered(
    client: Client, paths: Sequence[Path], parameters: Mapping[str, Any], written: ResultsFile
) -> Results:
    waiting: deque[_Sent] = deque()
    for lot in _lots(paths):
        if all(str(path) in written.paths for path in lot):
            continue
        files = []
        for read in map(_opened, lot):
            if isinstance(read, _File):
                files.append(read)
            elif read[1] is None or str(read[0]) not in written.paths:
                yield read
        new = any(str(file.path) not in written.paths for file in files)
        for sent in _send(client, files, parameters) if new else ():
            if isinstance(sent, _Sent):
                waiting.append(sent)
            else:
                yield sent
            if len(waiting) == _JOBS:
                yield from _results(client, waiting.popleft(), written)
    while waiting:
        yield from _results(client, waiting.popleft(), written)


def _find(client: httpx.Client) -> None:
    """Find out that somebody answers at all: who has never answered is not about to restart."""
    deadline = time.monotonic() + _FIRST_SECONDS
    while True:
        try:
            client.get("/livez")
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise RemoteFailed(
                    f"{client.base_url} cannot be reached: {error}; is the service running there?"
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return


def _opened(path: Path) -> _File | tuple[Path, dict[str, Any] | None]:
    """An image to send, or what there is to say of it instead."""
    try:
        return _File(path, _read(path))
    except OSError as error:
        fail_about(path, error)
        return path, None
    except ImageError as error:
        return path, {"problem": _own_problem(error)}


def _read(path: Path) -> bytes:
    """The bytes of a file that the service can take for an image.

    Raises:
        ImageError: it would take the file for something else, or for too large.
        OSError: it cannot be read.
    """
    size = regular_file(path).stat().st_size
    if size > _LARGEST:
        raise ImageTooLarge(f"the file has {size:,} bytes; compress or resize it")
    data = path.read_bytes()
    if data[:4] in MAGIC:  # the service would answer about what is in it
        raise UnsupportedImage("This is a zip archive: name the images themselves.")
    return data


def _own_problem(error: ImageError) -> dict[str, Any]:
    """What the service would say of a file that it was not sent."""
    from app.schemas.problem import ProblemDocument  # torch, for one bad file

    problem = ProblemDocument.of(error, request_id=REQUEST_ID)
    return problem.model_dump(mode="json", exclude_defaults=True)


def _lots(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Consecutive images, as many as make one job."""
    lot: list[Path] = []
    size = 0
    for path in paths:
        try:
            length = path.stat().st_size
        except OSError:
            length = 0  # reading it will say what is wrong
        if lot and (len(lot) == LOT_IMAGES or size + length > LOT_BYTES):
            yield lot
            lot, size = [], 0
        lot.append(path)
        size += length
    if lot:
        yield lot


def _send(
    client: Client, files: Sequence[_File], parameters: Mapping[str, Any]
) -> Iterator[_Sent | tuple[Path, dict[str, Any]]]:
    """The jobs that a lot has become, or of an image that no job takes its problem."""
    try:
        job = client.create_job(
            [(_name(file.path), file.data) for file in files],
            idempotency_key=_key_of(files, parameters),
            **parameters,
        )
    except Refused as refused:
        problem = _problem_of_body(refused)
        if problem is None:
            raise
        if len(files) == 1:
            yield files[0].path, {"problem": problem}
            return
        middle = len(files) // 2
        yield from _send(client, files[:middle], parameters)
        yield from _send(client, files[middle:], parameters)
        return
    yield _Sent(job.job_id, tuple(file.path for file in files))


def _results(client: Client, sent: _Sent, written: ResultsFile) -> Results:
    """The results of a job as they come, which is then purged.

    Raises:
        RemoteFailed: somebody has cancelled it.
    """
    after = 0
    while True:
        job = client.get_job(sent.job_id)
        for result in _lines(client, sent, after) if job.completed > after else ():
            after = result["sequence"]
            path = sent.paths[result["index"]]
            if str(path) not in written.paths:
                outcome = result.keys() & {"attribution", "problem"}
                yield path, {name: result[name] for name in outcome}
        # The job was asked before its results: what it counted then has been read by now.
        if job.ended_at is not None and after >= job.completed:
            break
        time.sleep(_POLL_SECONDS)
    written.make_durable()
    try:
        client.delete_job(sent.job_id)
    except Refused as refused:
        if refused.status != _GONE:
            raise
    if job.state == "cancelled":
        raise RemoteFailed("the job was cancelled on the service; run this again to send the rest")


def _lines(client: Client, sent: _Sent, after: int) -> list[dict[str, Any]]:
    """Results after one; none where they broke off, for they are asked for again."""
    try:
        return list(client.get_job_results(sent.job_id, after=after))
    except BrokenOff:
        return []


def _key_of(files: Sequence[_File], parameters: Mapping[str, Any]) -> str:
    """The same for the same question about the same files."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for file in files:
        name = str(file.path.absolute()).encode("utf-8", "surrogateescape")
        digest.update(hashlib.sha256(name).digest() + hashlib.sha256(file.data).digest())
    return f"batch-{digest.hexdigest()}"


def _name(path: Path) -> str:
    """What a file is called in a request, which knows no name that is not UTF-8."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _problem_of_body(refused: Refused) -> dict[str, Any] | None:
    """The problem document of an answer that refuses what was sent, and not how it was asked."""
    problem = refused.problem
    try:
        places = [error["location"] for error in problem.get("errors", ())]
        known = {name: problem[name] for name in ("type", "title", "status", "detail")}
    except (KeyError, TypeError):
        return None
    of_body = refused.status == 413 or any(place.startswith("body") for place in places)
    return {**known, "request_id": REQUEST_ID} if of_body else None

"""Answers a batch by the jobs of a running service; waits for one that restarts.

Images go in lots that are the same at every run, each under an idempotency key made of its
contents: a run that was interrupted finds the job it has sent before. A lot that is refused for
what is in it goes again in halves, until each of its images has a line of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
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
from models.images.errors import ImageError, ImageTooLarge, UnsupportedImage

LOT_IMAGES = 256
LOT_BYTES = 64_000_000
_LARGEST = 4 * LOT_BYTES
"""Bytes of a file that is not even sent."""
_POLL_SECONDS = 0.5
_FIRST_SECONDS = 3.0
_PATIENCE_SECONDS = 120.0
_LONGEST_WAIT_SECONDS = 15.0
_RETRIED = (429, 502, 503, 504)


class RemoteFailed(RuntimeError):
    """The service refused a lot, or could not be reached for too long."""


class _LotRefused(RemoteFailed):
    """A lot was refused for what is in it."""

    def __init__(self, trouble: str, problem: dict[str, Any]) -> None:
        self.problem = problem
        super().__init__(trouble)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    data: bytes


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
    with connect(url, key) as client:
        _find(client)
        for lot in _lots(paths):
            if all(str(path) in written.paths for path in lot):
                continue
            files: list[_File] = []
            for path in lot:
                try:
                    files.append(_File(path, _read(path)))
                except OSError as error:
                    fail_about(path, error)
                    yield path, None
                except ImageError as error:
                    if str(path) not in written.paths:
                        yield path, {"problem": _own_problem(error)}
            if any(str(file.path) not in written.paths for file in files):
                yield from _answer_lot(client, files, parameters, written)


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
    from app.schemas.problem import ProblemDocument  # noqa: PLC0415  # torch, for one bad file

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


def _answer_lot(
    client: httpx.Client,
    files: Sequence[_File],
    parameters: Mapping[str, Any],
    written: ResultsFile,
) -> Results:
    try:
        location = _submit(client, files, parameters)
    except _LotRefused as refused:
        if len(files) == 1:
            yield files[0].path, {"problem": refused.problem}
            return
        middle = len(files) // 2
        yield from _answer_lot(client, files[:middle], parameters, written)
        yield from _answer_lot(client, files[middle:], parameters, written)
        return
    after = 0
    while True:
        job = _call(client, "GET", location).json()
        for result in _results(client, location, after) if job["completed"] > after else ():
            after = result["sequence"]
            path = files[result["index"]].path
            if str(path) not in written.paths:
                outcome = result.keys() & {"attribution", "problem"}
                yield path, {name: result[name] for name in outcome}
        # The job was asked before its results: what it counted then has been read by now.
        if job["ended_at"] is not None and after >= job["completed"]:
            break
        time.sleep(_POLL_SECONDS)
    written.make_durable()
    _call(client, "DELETE", location, fine=(404,))
    if job["state"] == "cancelled":
        raise RemoteFailed("the job was cancelled on the service; run this again to send the rest")


def _results(client: httpx.Client, location: str, after: int) -> Iterator[dict[str, Any]]:
    response = _call(client, "GET", f"{location}/results", params={"after": after})
    return map(json.loads, response.text.splitlines())


def _submit(client: httpx.Client, files: Sequence[_File], parameters: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for file in files:
        name = str(file.path.absolute()).encode("utf-8", "surrogateescape")
        digest.update(hashlib.sha256(name).digest() + hashlib.sha256(file.data).digest())
    response = _call(
        client,
        "POST",
        "/v1/jobs",
        params=parameters,
        headers={"Idempotency-Key": f"batch-{digest.hexdigest()}"},
        files=[("files", (_name(file.path), file.data)) for file in files],
    )
    return _own(client, response)


def _name(path: Path) -> str:
    """What a file is called in a request, which knows no name that is not UTF-8."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _own(client: httpx.Client, response: httpx.Response) -> str:
    """Where the job is; the key goes to no other service, whatever it says.

    Raises:
        RemoteFailed: it is not on this service.
    """
    try:
        place = response.request.url.join(response.headers["location"])
    except (KeyError, httpx.InvalidURL) as error:
        raise RemoteFailed(f"{client.base_url} does not say where the job is") from error
    base = client.base_url
    if (place.scheme, place.host, place.port) != (base.scheme, base.host, base.port):
        raise RemoteFailed(f"{base} says that the job is at {place}, which is another service")
    return str(place)


def _call(
    client: httpx.Client, method: str, path: str, *, fine: Sequence[int] = (), **request: Any
) -> httpx.Response:
    """Send a request that may be repeated, until it is answered or patience ends.

    Raises:
        RemoteFailed: the answer is an error, other than the statuses that are `fine`.
        _LotRefused: it is one about what was sent.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    pause = 0.5
    while True:
        try:
            response = client.request(method, path, **request)
        except httpx.TransportError as error:
            trouble = f"{client.base_url} cannot be reached: {error}"
        else:
            if response.is_success or response.status_code in fine:
                return response
            trouble = _why(response)
            if response.status_code not in _RETRIED:
                if (problem := _problem_of_body(response)) is not None:
                    raise _LotRefused(trouble, problem)
                raise RemoteFailed(trouble)
            pause = max(pause, _retry_after(response))
        if time.monotonic() + pause > deadline:
            raise RemoteFailed(f"{trouble}; run this again later, it goes on where it was")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_WAIT_SECONDS)


def _problem_of_body(response: httpx.Response) -> dict[str, Any] | None:
    """The problem document of an answer that refuses what was sent, and not how it was asked."""
    try:
        problem = response.json()
        places = [error["location"] for error in problem.get("errors", ())]
        known = {name: problem[name] for name in ("type", "title", "status", "detail")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    of_body = response.status_code == 413 or any(place.startswith("body") for place in places)
    return {**known, "request_id": REQUEST_ID} if of_body else None


def _retry_after(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return min(float(seconds), _LONGEST_WAIT_SECONDS) if seconds.isdecimal() else 0.0


def _why(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return f"the service answers {response.status_code}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"the service answers {response.status_code}; is this address its own?"

"""Answers a batch by the jobs of a running service; waits for one that restarts.

Images go in lots that are the same at every run, each under an idempotency key made of its
contents: a run that was interrupted finds the job it has sent before.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.cli.batch.results import ResultsFile
from app.cli.console import fail
from app.cli.failures import BadInvocation

LOT_IMAGES = 256
LOT_BYTES = 64_000_000
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 120.0
_LONGEST_WAIT_SECONDS = 15.0
_RETRIED = (429, 502, 503, 504)


Results = Iterator[tuple[Path, dict[str, Any] | None]]
"""Each image with its `attribution` or `problem`; None where its file could not be read."""


class RemoteFailed(RuntimeError):
    """The service refused a lot, or could not be reached for too long."""


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
        RemoteFailed: the service refuses, or does not answer for two minutes.
    """
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        client = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=60.0)
    except (httpx.InvalidURL, ValueError) as error:
        raise BadInvocation(f"--url {url!r} is no address: {error}") from error
    with client:
        for lot in _lots(paths):
            if all(str(path) in written.paths for path in lot):
                continue
            files: list[_File] = []
            for path in lot:
                try:
                    files.append(_File(path, path.read_bytes()))
                except OSError as error:
                    fail(f"{path}: {error}")
                    yield path, None
            if any(str(file.path) not in written.paths for file in files):
                yield from _answer_lot(client, files, parameters, written)


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
    location = _submit(client, files, parameters)
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
        files=[("files", (file.path.name, file.data)) for file in files],
    )
    # Under a prefix it begins with what every call of this client begins with.
    return response.headers["location"].removeprefix(client.base_url.path.rstrip("/"))


def _call(
    client: httpx.Client, method: str, path: str, *, fine: Sequence[int] = (), **request: Any
) -> httpx.Response:
    """Send a request that may be repeated, until it is answered or patience ends.

    Raises:
        RemoteFailed: the answer is an error, other than the statuses that are `fine`.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    pause = 0.5
    while True:
        try:
            response = client.request(method, path, **request)
        except httpx.UnsupportedProtocol as error:
            raise BadInvocation(f"--url {client.base_url} is no address: {error}") from error
        except httpx.TransportError as error:
            trouble = f"{client.base_url} cannot be reached: {error}"
        else:
            if response.is_success or response.status_code in fine:
                return response
            trouble = _why(response)
            if response.status_code not in _RETRIED:
                raise RemoteFailed(trouble)
            pause = max(pause, _retry_after(response))
        if time.monotonic() + pause > deadline:
            raise RemoteFailed(f"{trouble}; run this again later, it goes on where it was")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_WAIT_SECONDS)


def _retry_after(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return min(float(seconds), _LONGEST_WAIT_SECONDS) if seconds.isdecimal() else 0.0


def _why(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return f"the service answers {response.status_code}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"the service answers {response.status_code}; is this address its own?"

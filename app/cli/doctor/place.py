"""Where a service would run: its settings, its folder, its address and its disk."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from app.cli.doctor.check import Check
from app.settings import Settings
from app.settings.limits import PREFIX
from attribution.catalog import CatalogUnusable
from attribution.catalog.presence import require_place
from attribution.folder_lock import listening_on
from attribution.index import IndexUnavailable
from attribution.index.milvus import Server
from attribution.maintenance.writable import unwritable

_LITTLE, _TOO_LITTLE = 2_000_000_000, 50_000_000


def place(settings: Settings) -> Iterator[Check]:
    """Settings, data folder, disk, address and Milvus, in this order."""
    file = settings.file
    said = (
        "from options and environment" if file is None else f"from {file}, options and environment"
    )
    names = ", ".join(sorted(settings.model_fields_set)) or "all at their defaults"
    yield Check("settings", "ok", f"{said}: {names}")
    yield from _folder(settings)
    yield _disk(settings.data)
    yield _address(settings)
    if settings.index_url is not None:
        yield _index(settings, settings.index_url)


def _folder(settings: Settings) -> Iterator[Check]:
    data = settings.data
    try:
        require_place(data)
    except CatalogUnusable as error:
        yield Check("data folder", "problem", str(error), "name another with --data")
        return
    if not data.exists():
        yield Check(
            "data folder", "note", f"{data.absolute()} is not there yet",
            "`attribution ingest` or `attribution serve` makes it",
        )  # fmt: skip
        return
    troubles = unwritable(data, snapshots=settings.snapshots)
    for trouble in troubles:
        yield Check(
            "data folder", "problem", f"{trouble.path} ({trouble.part}): {trouble.reason}",
            f"give it to the user that runs the service: chown -R USER {data.absolute()}",
        )  # fmt: skip
    if not troubles:
        yield Check("data folder", "ok", f"{data.absolute()} can be written")


def _disk(data: Path) -> Check:
    there = data.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB free at {there}"
    if free < _TOO_LITTLE:
        return Check("disk", "problem", found, "make room: nothing can be written for long")
    if free < _LITTLE:
        return Check("disk", "note", found, "make room before you add many sources")
    return Check("disk", "ok", found)


def _address(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    if (url := _running(settings)) is not None:
        return Check("address", "ok", f"a service runs on this folder, at {url}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return Check(
            "address", "problem", f"{where} cannot be listened on: {error.strerror or error}",
            f"choose another with --host and --port, or {PREFIX}HOST and {PREFIX}PORT",
        )  # fmt: skip
    return Check("address", "ok", f"{where} is free")


def _index(settings: Settings, url: str) -> Check:
    """The Milvus that holds the vectors; one of a file is not made by looking."""
    todo = f"mend that, or leave {PREFIX}INDEX_URL out for vectors in memory"
    try:
        server = Server(url)
        if server.embedded and _running(settings) is not None:
            return Check("index", "ok", f"the service that runs has {server.place}")
        if server.embedded and not Path(url).exists():
            return Check("index", "note", f"{server.place} is not there yet", "`serve` makes it")
        server.call("list_collections")
    except IndexUnavailable as error:
        return Check("index", "problem", str(error), todo)
    return Check("index", "ok", f"{server.place} answers")


def _running(settings: Settings) -> str | None:
    """Where a service on the folder listens; the note in it may be of one that was killed."""
    noted = listening_on(settings.data)
    return noted.url if noted is not None and _answers(noted.url) else None


def _answers(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except (OSError, ValueError):
        return False

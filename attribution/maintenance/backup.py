"""A backup of a data folder, made while others use it: whole or not there; knows no HTTP.

Layout::

    manifest.json       what it holds, with the sha256 of the database
    catalog.sqlite3     a copy of the catalog as of one moment, without what was deleted before
    previews/ab/ab….jpg each named by its own sha256
    background/…        vectors of added background images, one file an encoder, if there are any

It is written under another name, flushed, and renamed at the end: a process killed on the way
leaves a folder `….partial`, which the next backup to that place removes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attribution.catalog import Catalog
from attribution.catalog.copying import copy_previews
from attribution.catalog.presence import FILE
from attribution.files import flush, write_flushed
from attribution.maintenance.backgrounds import FOLDER as BACKGROUNDS
from attribution.maintenance.backgrounds import altered, copy_backgrounds
from models.digests import sha256_of

FORMAT = 1
MANIFEST = "manifest.json"
PREVIEWS = "previews"


class BackupRefused(Exception):
    """The backup cannot be made, or is none that can be restored; the message says why."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds. Sources in `damaged` are in it without their preview."""

    path: Path
    generation: int
    sources: int
    previews: int
    backgrounds: int
    size: int
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    created_at: str
    epoch: str
    generation: int
    sources: int
    previews: int
    previews_sha256: str
    catalog_sha256: str
    backgrounds: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON object in the file."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {"format": FORMAT, **fields}


def back_up(catalog: Catalog, folder: Path, destination: Path) -> BackupReport:
    """Write a backup into a folder that does not exist yet, while others read and write.

    Args:
        catalog: of the data folder.
        folder: the data folder.
        destination: the folder to make.

    A source deleted after the copy of the database was taken is left out of it again, so that no
    restore brings back what was gone before the backup was finished.

    Raises:
        BackupRefused: the destination exists, or another backup is being written to it.
        CatalogUnusable: the catalog is no SQLite file.
        OSError: no room, or no permission; nothing is left but `….partial`.
    """
    destination = destination.absolute()
    if destination.exists():
        raise BackupRefused(f"{destination} exists: name a folder that does not, one a backup")
    with _written_aside(destination) as aside:
        return _back_up(catalog, folder, aside, destination)


@contextmanager
def _written_aside(destination: Path) -> Iterator[Path]:
    """An empty folder beside the destination, into which no other backup writes meanwhile."""
    aside = destination.with_name(f"{destination.name}.partial")
    aside.mkdir(parents=True, exist_ok=True)
    lock = os.open(aside, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRefused(
                f"another backup to {destination} is being written: wait for it, or name another"
            ) from None
        if destination.exists():  # that other one has ended a moment ago
            raise BackupRefused(f"{destination} exists: name a folder that does not, one a backup")
        for left in aside.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield aside
    finally:
        os.close(lock)


def _back_up(catalog: Catalog, folder: Path, aside: Path, destination: Path) -> BackupReport:
    catalog.copies.write(aside / FILE)
    with Catalog.open(aside) as copy:
        damaged = _copy_previews(catalog, copy)
        generation, epoch = copy.generation(), copy.epoch
        names = sorted(copy.checks.preview_users())
        total = sum(collection.sources for collection in copy.collections())
    flush(aside / FILE)
    backgrounds = copy_backgrounds(folder / BACKGROUNDS, aside / BACKGROUNDS)
    manifest = Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        epoch=epoch,
        generation=generation,
        sources=total,
        previews=len(names),
        previews_sha256=digest_of_names(names),
        catalog_sha256=sha256_of(aside / FILE),
        backgrounds=backgrounds,
    )
    write_flushed(aside / MANIFEST, json.dumps(manifest.document(), indent=1).encode())
    flush(aside)
    aside.rename(destination)
    flush(destination.parent)
    size = sum(path.stat().st_size for path in destination.rglob("*") if path.is_file())
    return BackupReport(destination, generation, total, len(names), len(backgrounds), size, damaged)


def read_manifest(source: Path) -> Manifest:
    """The manifest of a backup, whose database and backgrounds are checked against it.

    Raises:
        BackupRefused: there is no backup here, or it is damaged or of a later format.
    """
    try:
        document = json.loads((source / MANIFEST).read_bytes())
        if document.pop("format") != FORMAT:
            raise BackupRefused(f"{source} was made by a later version; upgrade to restore it")
        manifest = Manifest(**document)
    except FileNotFoundError:
        raise BackupRefused(f"{source} holds no backup: {MANIFEST} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupRefused(f"{source / MANIFEST} cannot be read: {error}") from error
    try:
        found = sha256_of(source / FILE)
    except OSError as error:
        raise BackupRefused(f"{source / FILE} cannot be read: {error}") from error
    if found != manifest.catalog_sha256:
        raise BackupRefused(f"{source / FILE} is not what was backed up: use another backup")
    if names := altered(source / BACKGROUNDS, manifest.backgrounds):
        raise BackupRefused(
            f"{source / BACKGROUNDS / names[0]} is not what was backed up: use another backup"
        )
    return manifest


def digest_of_names(names: Iterable[str]) -> str:
    """Hex sha256 over the sorted names of previews, each of which is the sha256 of its file."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(names)).encode()).hexdigest()


def _copy_previews(catalog: Catalog, copy: Catalog) -> tuple[str, ...]:
    """Copy every preview that the copy's sources use; the ids of those that cannot be had."""
    users = copy.checks.preview_users()
    lost = copy_previews(users, catalog.copies.previews, copy.copies.previews)
    if not lost:
        return ()
    without = [source_id for name in lost for source_id in users[name]]
    live = catalog.checks.live(without)
    # Deleted since the copy of the database was taken, and their previews with them.
    copy.delete(source_ids=[source_id for source_id in without if source_id not in live])
    copy.compaction.ask()
    copy.compaction.run()
    return tuple(sorted(live))

"""Bringing a backup back: into an empty data folder, or in place of what a folder holds.

Whatever was taken down in the target stays down, and whatever key was revoked there stays revoked.
Indexes made before are never trusted again: the restored catalog begins a new epoch. Added
background images of encoders that the backup has none for stay.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attribution.catalog import Catalog, CatalogError, Tombstone
from attribution.catalog.copying import copy_previews, install_database, replace_database
from attribution.catalog.keys import KeyRecord
from attribution.catalog.presence import FILE
from attribution.catalog.previews import PreviewStore
from attribution.files import flush
from attribution.folder_lock import folder_lock
from attribution.index import remove_snapshots
from attribution.maintenance.backgrounds import FOLDER as BACKGROUNDS
from attribution.maintenance.backgrounds import copy_backgrounds
from attribution.maintenance.backup import PREVIEWS, read_manifest

ASIDE = "restore.partial"


class RestoreRefused(Exception):
    """Nothing was changed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore brought back.

    Attributes:
        generation: the last change of the restored catalog.
        sources: how many it holds.
        taken_down: ids of sources that were in the backup and stay down.
        without_preview: ids of sources whose preview the backup did not have or had damaged.
    """

    generation: int
    sources: int
    taken_down: tuple[str, ...]
    without_preview: tuple[str, ...]


def restore(
    backup: Path,
    folder: Path,
    *,
    snapshots: Path,
    force: bool = False,
    forget_takedowns: bool = False,
) -> RestoreReport:
    """Make `folder` hold what the backup holds; no service may run on it.

    The new catalog is made ready aside and takes the place of the old one in one step, the last
    but for cleaning up: a process killed before it leaves the old catalog, after it the new one.
    Either way running it again is all there is to do.

    Args:
        backup: made by `back_up`.
        folder: the data folder.
        snapshots: its folder of index snapshots, which are removed.
        force: replace what the folder holds.
        forget_takedowns: go on where the folder's own catalog is too damaged to say what was
            taken down.

    Raises:
        BackupRefused: no backup, or a damaged one.
        RestoreRefused: the folder holds a catalog, or one whose takedowns cannot be read.
        FolderInUse: a service runs on the folder.
    """
    read_manifest(backup)
    with folder_lock(folder, "a restore"):
        there = (folder / FILE).exists()
        if there and not force:
            raise RestoreRefused(
                f"{folder} holds a catalog already: name an empty folder, or pass --force to "
                "replace what it holds"
            )
        tombstones = _tombstones(folder, forget=forget_takedowns) if there else ()
        keys = _keys(folder) if there and tombstones is not None else ()
        aside = folder / ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            taken_down = _prepare(backup, aside, tombstones or (), keys)
            without_preview = _bring_previews(backup, aside, folder)
            copy_backgrounds(backup / BACKGROUNDS, folder / BACKGROUNDS)
            remove_snapshots(snapshots)
            if there and tombstones is not None:
                replace_database(aside / FILE, folder / FILE)
            else:
                install_database(aside / FILE, folder / FILE)
            flush(folder)
        finally:
            shutil.rmtree(aside)
        return _finish(folder, taken_down, without_preview)


def distrust_indexes(folder: Path, snapshots: Path, *, url: str | None = None) -> None:
    """Begin a new epoch, after other tools have brought the catalog's database back.

    It counts from the changes it knows, which an index may know others by.

    Raises:
        FolderInUse: a service runs on the folder.
    """
    with folder_lock(folder, "a restore"), Catalog.existing(folder, url=url) as catalog:
        catalog.copies.renew_epoch()
        remove_snapshots(snapshots)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed restore has left; the caller holds the folder's lock."""
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


def _tombstones(folder: Path, *, forget: bool) -> tuple[Tombstone, ...] | None:
    """What was taken down in the catalog about to be replaced; None where it cannot be read."""
    try:
        with Catalog.open(folder) as catalog:
            return catalog.takedowns.every()
    except (CatalogError, sqlite3.Error) as error:
        if forget:
            return None
        raise RestoreRefused(
            f"the catalog in {folder} is too damaged to say what was taken down ({error}); pass "
            "--forget-takedowns to restore all the same, then take down again what must stay down"
        ) from error


def _keys(folder: Path) -> tuple[KeyRecord, ...]:
    """The keys of the catalog about to be replaced: what was revoked must not come back."""
    with Catalog.open(folder) as catalog:
        return catalog.keys.records()


def _prepare(
    backup: Path, aside: Path, tombstones: Sequence[Tombstone], keys: Sequence[KeyRecord]
) -> tuple[str, ...]:
    """A catalog ready to serve: of this version, without what was taken down, in a new epoch."""
    shutil.copyfile(backup / FILE, aside / FILE)
    with Catalog.open(aside) as catalog:
        removed = catalog.takedowns.put(tombstones)
        catalog.keys.take_over(keys)
        catalog.copies.renew_epoch()
        catalog.compaction.ask()
        catalog.compaction.run()
    return removed.source_ids


def _bring_previews(backup: Path, aside: Path, folder: Path) -> tuple[str, ...]:
    """Put the previews that the prepared catalog needs into the folder; ids of those without."""
    with Catalog.open(aside) as catalog:
        users = catalog.checks.preview_users()
    theirs, ours = PreviewStore(backup / PREVIEWS), PreviewStore(folder / PREVIEWS)
    lost = copy_previews(users, theirs, ours)
    return tuple(sorted(source_id for name in lost for source_id in users[name]))


def _finish(
    folder: Path, taken_down: tuple[str, ...], without_preview: tuple[str, ...]
) -> RestoreReport:
    """Leave nothing on the disk of what was there before, and say what is there now."""
    with Catalog.open(folder) as catalog:
        catalog.compaction.ask()
        catalog.compaction.run()
        held = sum(collection.sources for collection in catalog.collections())
        return RestoreReport(catalog.generation(), held, taken_down, without_preview)

"""Erasing what was deleted from a whole data folder, beside a running service or without one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attribution.catalog import Catalog
from attribution.folder_lock import FolderInUse, folder_lock
from attribution.index import IndexUnavailable, holds_removed, remove_snapshots
from attribution.index.milvus import forget_removed
from attribution.maintenance.restore import remove_leftovers

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Erased:
    """How far erasing got.

    Attributes:
        generation: nothing removed up to this change is left in the catalog and the previews.
        index_clean: nor in the index snapshot. False where the service that holds the folder has
            not written a new one in the time given; it still will.
        previews_removed: files that no source used.
        remaining: what was deleted and could not be removed, in words; a service that runs on the
            folder tries again, and so does the next compaction.
    """

    generation: int
    index_clean: bool
    previews_removed: int
    remaining: tuple[str, ...] = ()


def erase(
    catalog: Catalog,
    folder: Path,
    snapshots: Path,
    *,
    index_url: str | None = None,
    patience: float = 60.0,
    waiting: Callable[[float], None] = lambda _: None,
) -> Erased:
    """Leave no byte of a deleted source in the data folder.

    Where no service runs, an index snapshot with deleted rows is removed, and the next start builds
    the index anew; from a Milvus the rows are deleted. A service that runs does so itself, and its
    clean snapshot is waited for.

    Args:
        catalog: of this folder.
        folder: the data folder.
        snapshots: its folder of index snapshots.
        index_url: of the Milvus that holds the vectors, if one does.
        patience: seconds to wait for a running service.
        waiting: called with them where there is one that has not done so yet.

    Raises:
        CatalogBusy, StorageFull: the database could not be rewritten; run it again.
    """
    catalog.compaction.ask()
    compacted = catalog.compaction.run()
    stayed: tuple[str, ...] = ()
    try:
        with folder_lock(folder, "a compaction"):
            remove_leftovers(folder)
            if holds_removed(snapshots, compacted.generation):
                remove_snapshots(snapshots)
            clean = True
            catalog.jobs.sweep()
            if index_url is not None:
                forget_removed(catalog, index_url)
    except FolderInUse:
        if holds_removed(snapshots, compacted.generation):
            waiting(patience)
        clean = _waited(snapshots, compacted.generation, patience)
    except IndexUnavailable as error:
        logger.warning("what was deleted is not removed from the index yet: %s", error)
        clean = False
        stayed = ("rows in Milvus, which cannot be asked, are not deleted",)
    except OSError as error:
        logger.warning("what was deleted is not removed yet: %s", error)
        clean = not holds_removed(snapshots, compacted.generation)
        stayed = () if clean else (f"an index snapshot cannot be removed ({error.strerror})",)
    catalog.jobs.look_for_unerased()
    remaining = (*still_there(catalog), *stayed)
    return Erased(compacted.generation, clean, compacted.previews_removed, remaining)


def still_there(catalog: Catalog) -> tuple[str, ...]:
    """What was deleted and could not be removed from the disk yet, in words without a path."""
    previews = catalog.compaction.remaining()
    return (
        *([f"{_previews(previews)} of deleted sources cannot be removed"] if previews else []),
        *(["images of ended jobs cannot be removed"] if catalog.jobs.unerased else []),
    )


def _previews(count: int) -> str:
    return "1 preview" if count == 1 else f"{count} previews"


def _waited(snapshots: Path, generation: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while holds_removed(snapshots, generation):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True

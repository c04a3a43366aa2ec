"""Compaction: what was deleted leaves the disk; knows the database and previews, not the index.

A deletion takes rows and files away at once, yet SQLite may keep copies of a row where pages were
rearranged, and the write-ahead log holds what was written. Compaction rewrites the database,
empties its log and removes what a killed process has left. That it is due is itself in the catalog,
so a crash only puts it off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import changes, removals
from attribution.catalog.database import Database
from attribution.catalog.errors import CatalogBusy
from attribution.catalog.previews import PreviewStore
from attribution.catalog.schema import compaction, sources


@dataclass(frozen=True, slots=True)
class Compacted:
    """Nothing removed up to `generation` is left in the database.

    Nor among the previews, but for `previews_remaining` files that could not be removed.
    """

    generation: int
    previews_removed: int
    previews_remaining: int = 0


class Compaction:
    """When compaction is due, and doing it. For any thread; runs that meet only repeat the work."""

    def __init__(self, database: Database, store: PreviewStore) -> None:
        """Part of a `Catalog`."""
        self._database = database
        self._previews = store

    def wanted(self) -> int:
        """What was removed up to this change must leave the disk; 0 where nobody has asked."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(compaction.c.wanted)).scalar_one())

    def due(self) -> bool:
        """Whether the database and the previews have not been compacted that far yet."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(compaction.c.wanted, compaction.c.done)).one()
        return bool(row.wanted > row.done)

    def remaining(self) -> int:
        """How many previews were deleted and could not be removed yet."""
        with self._database.read() as connection:
            return removals.count_discarded(connection)

    def ask(self) -> int:
        """Make due the removal of all that is deleted by now; returns the generation meant."""
        with self._database.write() as connection:
            generation = changes.generation(connection)
            want(connection, generation)
            again(connection)  # also where nothing has changed since the last time: a person asked
            return generation

    def run(self) -> Compacted:
        """Rewrite the database without what was deleted; writers wait, readers do not.

        Takes as long as copying the database does, and needs that much room for a while. A process
        killed on the way leaves everything as it was, and the compaction due.

        Raises:
            CatalogBusy: a reader or writer kept the log in use; nothing is lost, run it again.
            StorageFull: no room for the copy.
        """
        with self._database.write() as connection:
            again(connection)  # of two that meet, the later one says how far they are
            target, begun = connection.execute(
                sa.select(compaction.c.wanted, compaction.c.done)
            ).one()
        unused = self._unused_previews()
        stayed = removals.remove_discarded(self._database, self._previews)
        removed, left = self._remove_unused(unused)
        if not self._database.rewrite():
            raise CatalogBusy
        # Previews that stay are on record as discarded; of anything else it is this that tells.
        if all(path == self._previews.path(self._previews.name_of(path)) for path in left):
            with self._database.write() as connection:
                undisturbed = compaction.c.done == begun
                connection.execute(sa.update(compaction).where(undisturbed).values(done=target))
        return Compacted(target, removed, stayed + len(left))

    def _unused_previews(self) -> dict[str, list[Path]]:
        """Files by the preview they are of; the slow listing stays outside the lock."""
        with self._database.read() as connection:
            used = set(connection.execute(sa.select(sources.c.preview)).scalars())
        unused: dict[str, list[Path]] = {}
        for path in self._previews.files():
            name = self._previews.name_of(path)
            if name not in used:
                unused.setdefault(name, []).append(path)
        return unused

    def _remove_unused(self, unused: dict[str, list[Path]]) -> tuple[int, list[Path]]:
        """Remove what is unused still, some at a time; how many files went, and which could not.

        Safe under the write lock: an addition checks there that its previews are in place.
        """
        removed, left, names = 0, list[Path](), sorted(unused)
        for start in range(0, len(names), removals.AT_ONCE):
            some = names[start : start + removals.AT_ONCE]
            with self._database.write() as connection:
                tried = set(removals.still_discarded(connection, some))  # a moment ago
                doomed = [
                    file
                    for name in removals.unused_among(connection, some)
                    if name not in tried
                    for file in unused[name]
                ]
                stayed = removals.remove_files(connection, self._previews, doomed)
            removed += len(doomed) - len(stayed)
            left += stayed
            time.sleep(removals.PAUSE_SECONDS)
        return removed, left


def want(connection: Connection, generation: int) -> None:
    """Make compaction due up to a change; part of the transaction that makes the change."""
    connection.execute(
        sa.update(compaction).where(compaction.c.wanted < generation).values(wanted=generation)
    )


def again(connection: Connection) -> None:
    """Make compaction due for what was erased without a change; part of that transaction.

    `done` is at most `wanted`, and another one afterwards: a compaction under way leaves it alone.
    """
    connection.execute(sa.update(compaction).values(done=compaction.c.done - 1))

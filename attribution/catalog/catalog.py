"""The catalog: the only truth about sources, for any number of threads and processes at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from attribution.catalog import (
    additions,
    changes,
    collections,
    embeddings,
    preparing,
    removals,
    sources,
)
from attribution.catalog.calibrations import Calibrations
from attribution.catalog.checks import Checks
from attribution.catalog.compaction import Compaction
from attribution.catalog.copying import Copies
from attribution.catalog.database import Database
from attribution.catalog.encoders import Encoders
from attribution.catalog.errors import CatalogError, PreviewMissing
from attribution.catalog.jobs.jobs import Jobs
from attribution.catalog.kept_nulls import KeptNulls
from attribution.catalog.keys import Keys
from attribution.catalog.leases import Leases
from attribution.catalog.presence import address_of, require
from attribution.catalog.previews import PreviewStore
from attribution.catalog.published import PublishedIndexes
from attribution.catalog.records import (
    AddedBatch,
    Change,
    Collection,
    CollectionPut,
    Deleted,
    EmbeddingPage,
    NewSource,
    Order,
    Page,
    Source,
    SourceFilter,
)
from attribution.catalog.takedowns import Takedowns
from attribution.catalog.webhooks import Webhooks

logger = logging.getLogger(__name__)


class Catalog:
    """Collections, sources, embeddings, previews and the log of changes that indexes follow.

    Each method is one short transaction of its own and may be called from any thread. What a write
    has returned survives a crash of the process and of the machine.

    Besides what they list, methods raise CatalogBusy, CatalogClosed, CatalogUnusable (among them
    CatalogReadOnly) and StorageFull, all of them CatalogError.
    """

    def __init__(self, database: Database, store: PreviewStore, jobs: Jobs, *, epoch: str) -> None:
        """Use `Catalog.open` instead."""
        self._database = database
        self._previews = store
        self.jobs = jobs
        self.epoch = epoch
        self.keys = Keys(database)
        self.takedowns = Takedowns(database, self._finished, jobs.forget)
        self.compaction = Compaction(database, store)
        self.checks = Checks(database, store)
        self.copies = Copies(database, store)
        self.encoders = Encoders(database)
        self.calibrations = Calibrations(database)
        self.kept_nulls = KeptNulls(database)
        self.leases = Leases(database)
        self.published = PublishedIndexes(database)
        self.webhooks = Webhooks(database)

    @classmethod
    def open(cls, folder: Path, *, url: str | None = None) -> Self:
        """Open the catalog in `folder`, creating or migrating it where needed.

        Args:
            folder: holds `previews/`, `jobs/` and, unless `url` says otherwise,
                `catalog.sqlite3`.
            url: SQLAlchemy URL of another database, such as PostgreSQL.

        Raises:
            CatalogTooNew: written by a newer version of this software.
            CatalogUnusable: not a catalog, damaged, or out of reach.
        """
        folder = Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return cls._of(folder, Database(address_of(folder, url)), preparing.prepare)

    @classmethod
    def existing(cls, folder: Path, *, url: str | None = None) -> Self:
        """Open the catalog that is in `folder`; make none, and no folder.

        Where this process may not write, the catalog is opened all the same, and writing to it
        raises CatalogReadOnly; `require_writable` does so before the work.

        Args:
            folder: as of `open`.
            url: as of `open`.

        Raises:
            CatalogMissing: there is none.
            CatalogReadOnly: it was written by an older version, and may not be brought up to date.
            CatalogTooNew, CatalogUnusable: as `open`.
        """
        folder = Path(folder).absolute()
        require(folder, url)
        database = Database(address_of(folder, url))
        return cls._of(folder, database, lambda found: preparing.require(found, folder))

    @classmethod
    def _of(cls, folder: Path, database: Database, prepare: Callable[[Database], str]) -> Self:
        try:
            store = PreviewStore(folder / "previews")
            epoch = prepare(database)
            catalog = cls(database, store, Jobs(database, folder / "jobs"), epoch=epoch)
            if database.only_read is None:
                store.make()
                catalog.finish_deletions()
        except BaseException:
            database.close()
            raise
        return catalog

    def require_writable(self) -> None:
        """Raise CatalogReadOnly where this process may only read."""
        self._database.require_writable()

    def close(self) -> None:
        """Give back every connection; using the catalog afterwards is an error."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def generation(self) -> int:
        """Number of the last change; 0 for a new catalog."""
        with self._database.read() as connection:
            return changes.generation(connection)

    def count_changes(self, collections: frozenset[str], *, after: int = 0, until: int) -> int:
        """How many changes of these collections have a number in `(after, until]`."""
        with self._database.read() as connection:
            return changes.count_within(connection, collections, after=after, until=until)

    def nth_change(self, collections: frozenset[str], position: int) -> int | None:
        """The number of the change that is number `position` (from 1) of these collections."""
        with self._database.read() as connection:
            return changes.nth_within(connection, collections, position)

    def last_change(self, collections: frozenset[str], *, until: int) -> int:
        """The last change up to `until` that added or removed a source of these; 0 for none."""
        with self._database.read() as connection:
            return changes.last_within(connection, collections, until=until)

    # Collections

    def collections(self) -> tuple[Collection, ...]:
        """All collections by name; `default` is always among them."""
        with self._database.read() as connection:
            return collections.every(connection)

    def collection(self, name: str) -> Collection:
        """One collection; raises CollectionNotFound."""
        with self._database.read() as connection:
            return collections.find(connection, name)

    def put_collection(self, name: str, description: str = "") -> CollectionPut:
        """Create a collection or replace its description; raises InvalidField."""
        with self._database.write() as connection:
            return collections.put(connection, name, description)

    def delete_collection(self, name: str) -> Deleted:
        """Delete a collection with all its sources.

        Raises CollectionNotFound, and CollectionProtected for `default`, which must stay.
        """
        with self._database.write() as connection:
            deleted = removals.delete_collection(connection, name)
        return self._finished(deleted)

    # Sources

    def add(self, model_id: str, sources: Sequence[NewSource]) -> AddedBatch:
        """Add sources with the embeddings of encoder `model_id`, all of them or none.

        Where a collection already holds the bytes, also from earlier in the batch, that source is
        returned with `created=False` and keeps its metadata; if it lacks an embedding of this
        encoder, it gets this one.

        Returns:
            One item for each source in the order given, and the generation to wait for.

        Raises:
            CollectionNotFound, SourceTakenDown: of one of the sources; nothing was added.
            InvalidField: a value cannot be stored; nothing was added.
        """
        return additions.add(self._database, self._previews, model_id, sources)

    def source(self, source_id: str, *, collections: frozenset[str] | None = None) -> Source:
        """One source of `collections` (None: of any); raises SourceNotFound."""
        with self._database.read() as connection:
            return sources.find(connection, source_id, within=collections)

    def sources(
        self,
        where: SourceFilter | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
        order: Order = "oldest",
    ) -> Page:
        """List sources in order of addition or against it, 1 to 1000 a page.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
            InvalidField: `limit` or a field of `where` makes no sense.
        """
        with self._database.read() as connection:
            return sources.page(connection, where, limit=limit, cursor=cursor, order=order)

    def update(
        self, source_id: str, changes: Mapping[str, Any], *, if_revision: int | None = None
    ) -> Source:
        """Set `uri`, `title`, `creator`, `licence` or `metadata` (replaced as a whole).

        A source that has these values already stays at its revision.

        Raises:
            SourceNotFound, InvalidField: no such source, or a value that cannot be stored.
            RevisionMismatch: `if_revision` is given, and someone else was faster.
        """
        with self._database.write() as connection:
            return sources.update(connection, source_id, changes, if_revision=if_revision)

    def delete(
        self,
        *,
        source_ids: Sequence[str] = (),
        sha256s: Sequence[str] = (),
        collections: frozenset[str] | None = None,
        if_revision: int | None = None,
    ) -> Deleted:
        """Delete sources by id, by sha256, or both, within `collections` (None: everywhere).

        Ids and digests that name nothing there come back in `missing`; they are no error.

        Raises:
            RevisionMismatch: `if_revision` is given, and one is at another; nothing was deleted.
        """
        with self._database.write() as connection:
            deleted = removals.delete(
                connection,
                source_ids=source_ids,
                sha256s=sha256s,
                within=collections,
                if_revision=if_revision,
            )
        return self._finished(deleted)

    def by_vector_ids(self, ids: Sequence[int]) -> dict[int, Source]:
        """The live sources among `ids`; ids that name none are left out."""
        with self._database.read() as connection:
            return sources.by_vector_ids(connection, ids)

    def known_digests(self, collection: str, digests: Sequence[str]) -> dict[str, Source]:
        """The sources of `collection` that have these bytes, by sha256."""
        with self._database.read() as connection:
            return sources.by_digests(connection, collection, digests)

    def preview(self, source_id: str) -> bytes:
        """JPEG, at most 512 pixels on the long side; raises SourceNotFound, PreviewMissing."""
        with self._database.read() as connection:
            name = sources.preview_name(connection, source_id)
        try:
            return self._previews.read_sound(name)
        except FileNotFoundError:
            self.source(source_id)  # deleted a moment ago: not found, and nothing is wrong
            raise PreviewMissing(source_id, self._previews.path(name)) from None

    # What indexes follow

    def changes(self, after: int, *, limit: int = 1000) -> tuple[Change, ...]:
        """At most `limit` changes that follow generation `after`, in their order."""
        with self._database.read() as connection:
            return changes.after(connection, after, limit=limit)

    def removed_after(self, generation: int) -> npt.NDArray[np.int64]:
        """Vector ids of the sources deleted after `generation`, in no order."""
        with self._database.read() as connection:
            return np.array(changes.removed_after(connection, generation), np.int64)

    def embeddings(self, model_id: str, vector_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """`(n, d)` float32 rows in the order asked.

        Raises:
            EmbeddingsMissing: its `vector_ids` are those deleted since, or never embedded.
        """
        with self._database.read() as connection:
            return embeddings.fetch(connection, model_id, vector_ids)

    def live_embeddings(
        self, model_id: str, *, after_vector_id: int = 0, limit: int = 4096
    ) -> EmbeddingPage:
        """Embeddings of live sources by ascending vector id, for building an index anew.

        Read `generation()` before the first page and apply the changes after it once done: they
        repeat what happened between the pages.
        """
        with self._database.read() as connection:
            return embeddings.page(
                connection, model_id, after_vector_id=after_vector_id, limit=limit
            )

    def embedded_digests(
        self, model_id: str, *, after_vector_id: int = 0, limit: int = 10_000
    ) -> tuple[tuple[int, str, str], ...]:
        """Vector id, collection and sha256 of sources with a vector, by ascending vector id."""
        with self._database.read() as connection:
            return embeddings.digests(
                connection, model_id, after_vector_id=after_vector_id, limit=limit
            )

    def models(self) -> tuple[str, ...]:
        """The encoders that have embeddings here, by `model_id`."""
        with self._database.read() as connection:
            return embeddings.models(connection)

    def write_troubles(self) -> dict[str, str]:
        """Why the last write to a place of the catalog failed, where one has lately, by place."""
        places = {
            "catalog": self._database.place,
            "previews": self._previews.place,
            "jobs": self.jobs.place,
        }
        return {name: place.trouble for name, place in places.items() if place.trouble}

    def _finished(self, deleted: Deleted) -> Deleted:
        """A committed deletion, with the previews of it that are still there once it is done."""
        self.finish_deletions()
        stayed: tuple[str, ...] = deleted.remaining
        try:
            with self._database.read() as connection:
                stayed = removals.still_discarded(connection, deleted.remaining)
        except CatalogError as error:
            logger.warning("whether deleted previews are removed cannot be told: %s", error)
        paths = (self._previews.path(name) for name in sorted(stayed))
        return replace(
            deleted, remaining=tuple(f"previews/{p.parent.name}/{p.name}" for p in paths)
        )

    def finish_deletions(self) -> None:
        """Remove previews that a committed deletion has left without a source.

        The deletion holds whatever happens here: what fails now is on record, and done after the
        next deletion, or when somebody calls this.
        """
        try:
            with self._database.read() as connection:
                if not removals.has_discarded(connection):
                    return
            removals.remove_discarded(self._database, self._previews)
        except CatalogError as error:
            logger.warning("previews of deleted sources are not removed yet: %s", error)

"""Deleting sources: rows, embeddings and changes in one commit, then previews nobody uses."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import changes, collections, validation
from attribution.catalog.database import Database, in_statements, rows_among
from attribution.catalog.errors import CollectionProtected, RevisionMismatch
from attribution.catalog.previews import PreviewStore
from attribution.catalog.records import Deleted
from attribution.catalog.schema import discarded_previews, sources
from attribution.catalog.sources import is_source_id

logger = logging.getLogger(__name__)

AT_ONCE = 200
"""Files removed while other writers wait."""
PAUSE_SECONDS = 0.01
"""Between them: on SQLite whoever waits looks now and then whether it is its turn."""


class _Doomed(NamedTuple):
    vector_id: int
    source_id: str
    collection: str
    sha256: str
    preview: str
    revision: int


_DOOMED = sa.select(*(sources.c[field] for field in _Doomed._fields))


def delete(
    connection: Connection,
    *,
    source_ids: Sequence[str],
    sha256s: Sequence[str],
    within: frozenset[str] | None,
    if_revision: int | None = None,
) -> Deleted:
    """Delete by id and by digest; what lies outside the collections `within` is not found.

    Raises:
        RevisionMismatch: `if_revision` is given, and something of it is at another revision.
    """
    ids, digests = filter(is_source_id, source_ids), filter(validation.is_sha256, sha256s)
    doomed = {
        *map(_Doomed._make, rows_among(connection, _DOOMED, sources.c.source_id, ids)),
        *map(_Doomed._make, rows_among(connection, _DOOMED, sources.c.sha256, digests)),
    }
    if within is not None:
        doomed = {item for item in doomed if item.collection in within}
    for item in doomed:
        if if_revision is not None and item.revision != if_revision:
            raise RevisionMismatch(item.source_id, expected=if_revision, actual=item.revision)
    found = {item.source_id for item in doomed} | {item.sha256 for item in doomed}
    asked = dict.fromkeys([*source_ids, *sha256s])
    missing = tuple(name for name in asked if name not in found)
    return _remove(connection, doomed, missing=missing)


def delete_collection(connection: Connection, name: str) -> Deleted:
    """Delete a collection and all its sources.

    Raises:
        CollectionNotFound, CollectionProtected: there is none, or it must stay.
    """
    if name == collections.DEFAULT:
        raise CollectionProtected(name)
    collections.find(connection, name)
    doomed = connection.execute(_DOOMED.where(sources.c.collection == name))
    deleted = _remove(connection, map(_Doomed._make, doomed))
    collections.remove(connection, name)
    return deleted


def has_discarded(connection: Connection) -> bool:
    """Whether a committed deletion has left previews to remove."""
    return connection.execute(sa.select(discarded_previews).limit(1)).first() is not None


def still_discarded(connection: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Those of these previews that a committed deletion has not been able to remove yet."""
    column = discarded_previews.c.preview
    return tuple(row.preview for row in rows_among(connection, sa.select(column), column, names))


def count_discarded(connection: Connection) -> int:
    """How many previews committed deletions have not been able to remove yet."""
    counted = sa.select(sa.func.count()).select_from(discarded_previews)
    return int(connection.execute(counted).scalar_one())


def remove_discarded(database: Database, store: PreviewStore) -> int:
    """Remove the discarded previews that no source uses any more; how many could not be.

    Those stay discarded: whoever asks next tries again. Some at a time under the writers' lock,
    where an addition that relies on one of these files checks for it.
    """
    column, last, stayed = discarded_previews.c.preview, "", 0
    while True:
        with database.write() as connection:
            # By name, so that those of one folder come together.
            wanted = sa.select(column).where(column > last).order_by(column).limit(AT_ONCE)
            names = connection.execute(wanted).scalars().all()
            unused = [store.path(name) for name in unused_among(connection, names)]
            left = {store.name_of(path) for path in _not_removed(store, unused)}
            gone = [name for name in names if name not in left]
            connection.execute(sa.delete(discarded_previews).where(column.in_(gone)))
        stayed += len(left)
        if len(names) < AT_ONCE:
            return stayed
        last = names[-1]
        time.sleep(PAUSE_SECONDS)


def unused_among(connection: Connection, names: Sequence[str]) -> list[str]:
    """Those of some previews that no source uses."""
    column = sources.c.preview
    used = {row.preview for row in rows_among(connection, sa.select(column), column, names)}
    return [name for name in names if name not in used]


def remove_files(
    connection: Connection, store: PreviewStore, files: Sequence[Path]
) -> tuple[Path, ...]:
    """Remove these files of the store; those that could not be. Of them, previews are discarded."""
    stayed = tuple(_not_removed(store, files))
    names = {store.name_of(path): path for path in stayed}
    discard(connection, [name for name, path in names.items() if path == store.path(name)])
    return stayed


def _not_removed(store: PreviewStore, files: Sequence[Path]) -> Iterable[Path]:
    stayed = store.remove(files)
    for error in stayed.values():
        logger.warning("a deleted preview is not removed yet: %s", error)
        store.place.failed(error)
    return stayed


def _remove(
    connection: Connection, doomed: Iterable[_Doomed], *, missing: tuple[str, ...] = ()
) -> Deleted:
    ordered = sorted(doomed)
    for some in in_statements([item.vector_id for item in ordered]):
        # The embeddings go with their source: ON DELETE CASCADE.
        connection.execute(sa.delete(sources).where(sources.c.vector_id.in_(some)))
    discarded = sorted({item.preview for item in ordered})
    discard(connection, discarded)
    generation = changes.append(
        connection, "remove", [(item.vector_id, item.collection) for item in ordered]
    )
    ids = tuple(item.source_id for item in ordered)
    return Deleted(generation, ids, missing, remaining=tuple(discarded))


def discard(connection: Connection, names: Iterable[str]) -> None:
    """Have previews removed that no source uses, once this transaction is committed."""
    known = set(connection.execute(sa.select(discarded_previews.c.preview)).scalars())
    if fresh := sorted(set(names) - known):
        connection.execute(sa.insert(discarded_previews), [{"preview": name} for name in fresh])

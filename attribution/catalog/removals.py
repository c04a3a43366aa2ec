"""Deleting sources: rows, embeddings and changes in one commit, then previews nobody uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import changes, collections, validation
from attribution.catalog.database import in_statements, rows_among
from attribution.catalog.errors import CollectionProtected
from attribution.catalog.previews import PreviewStore
from attribution.catalog.records import Deleted
from attribution.catalog.schema import discarded_previews, sources
from attribution.catalog.sources import is_source_id


class _Doomed(NamedTuple):
    vector_id: int
    source_id: str
    collection: str
    sha256: str
    preview: str


_DOOMED = sa.select(*(sources.c[field] for field in _Doomed._fields))


def delete(
    connection: Connection,
    *,
    source_ids: Sequence[str],
    sha256s: Sequence[str],
    within: frozenset[str] | None,
) -> Deleted:
    """Delete by id and by digest; what lies outside the collections `within` is not found."""
    ids, digests = filter(is_source_id, source_ids), filter(validation.is_sha256, sha256s)
    doomed = {
        *map(_Doomed._make, rows_among(connection, _DOOMED, sources.c.source_id, ids)),
        *map(_Doomed._make, rows_among(connection, _DOOMED, sources.c.sha256, digests)),
    }
    if within is not None:
        doomed = {item for item in doomed if item.collection in within}
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


def remove_discarded(connection: Connection, store: PreviewStore) -> None:
    """Remove the discarded previews that no source uses any more.

    Must run in a write transaction: an addition that relies on one of these files checks for it
    under the same lock.
    """
    used = sa.exists().where(sources.c.preview == discarded_previews.c.preview)
    for name in connection.execute(sa.select(discarded_previews.c.preview).where(~used)).scalars():
        store.remove(store.path(name))
    connection.execute(sa.delete(discarded_previews))


def _remove(
    connection: Connection, doomed: Iterable[_Doomed], *, missing: tuple[str, ...] = ()
) -> Deleted:
    ordered = sorted(doomed)
    for some in in_statements([item.vector_id for item in ordered]):
        # The embeddings go with their source: ON DELETE CASCADE.
        connection.execute(sa.delete(sources).where(sources.c.vector_id.in_(some)))
    _discard(connection, {item.preview for item in ordered})
    generation = changes.append(
        connection, "remove", [(item.vector_id, item.collection) for item in ordered]
    )
    return Deleted(generation, tuple(item.source_id for item in ordered), missing)


def _discard(connection: Connection, names: set[str]) -> None:
    known = set(connection.execute(sa.select(discarded_previews.c.preview)).scalars())
    if fresh := sorted(names - known):
        connection.execute(sa.insert(discarded_previews), [{"preview": name} for name in fresh])

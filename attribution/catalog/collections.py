"""Collections: the named sets that sources live in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import validation
from attribution.catalog.errors import CollectionNotFound
from attribution.catalog.records import Collection, CollectionPut
from attribution.catalog.schema import collections, sources

DEFAULT = "default"
_DESCRIPTION_LENGTH = 2048

# Counted for each row that is listed: one collection's row costs nothing for what others hold.
_held = (
    sa.select(sa.func.count())
    .select_from(sources)
    .where(sources.c.collection == collections.c.name)
    .scalar_subquery()
)
_listing = sa.select(collections.c.name, collections.c.description, _held, collections.c.created_at)


def every(connection: Connection) -> tuple[Collection, ...]:
    """All collections by name."""
    # Sorted here: databases differ in whether a hyphen counts.
    found = (Collection(*row) for row in connection.execute(_listing))
    return tuple(sorted(found, key=lambda collection: collection.name))


def find(connection: Connection, name: str) -> Collection:
    """The collection of this name; CollectionNotFound where there is none."""
    if validation.is_collection_name(name):
        row = connection.execute(_listing.where(collections.c.name == name)).first()
        if row is not None:
            return Collection(*row)
    raise CollectionNotFound(name)


def require(connection: Connection, names: Iterable[str]) -> None:
    """Raise CollectionNotFound for the first of `names` that does not exist."""
    for name in sorted(set(names)):
        found = connection.execute(
            sa.select(collections.c.name).where(collections.c.name == name)
        ).first()
        if found is None:
            raise CollectionNotFound(name)


def put(connection: Connection, name: str, description: str) -> CollectionPut:
    """Create a collection, or give an existing one this description."""
    name = validation.collection_name(name)
    description = validation.text("description", description, longest=_DESCRIPTION_LENGTH)
    updated = connection.execute(
        sa.update(collections).where(collections.c.name == name).values(description=description)
    )
    created = updated.rowcount == 0
    if created:
        connection.execute(
            sa.insert(collections).values(
                name=name, description=description, created_at=datetime.now(UTC)
            )
        )
    return CollectionPut(find(connection, name), created)


def ensure_default(connection: Connection) -> None:
    """Create the default collection where it is missing."""
    try:
        find(connection, DEFAULT)
    except CollectionNotFound:
        put(connection, DEFAULT, "")


def remove(connection: Connection, name: str) -> None:
    """Delete a collection whose sources are gone already."""
    connection.execute(sa.delete(collections).where(collections.c.name == name))

"""Sources as rows: finding, listing and updating; adding and removing have modules of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row

from attribution.catalog import changes, cursors, validation
from attribution.catalog.database import rows_among
from attribution.catalog.errors import InvalidField, RevisionMismatch, SourceNotFound
from attribution.catalog.records import Order, Page, Source, SourceFilter
from attribution.catalog.schema import sources

LARGEST_PAGE = 1000

_TEXTS = ("title", "creator", "uri", "licence")
_SOURCE_ID = re.compile(r"src_[a-z2-7]{20}")
_SOURCES = sa.select(*(sources.c[field.name] for field in fields(Source)))


def is_source_id(value: object) -> bool:
    """Whether `value` has the shape of an id; nothing else can name a source."""
    return isinstance(value, str) and _SOURCE_ID.fullmatch(value) is not None


def find(connection: Connection, source_id: str, *, within: frozenset[str] | None = None) -> Source:
    """The live source of this id in the collections `within`; else SourceNotFound."""
    if is_source_id(source_id):
        wanted = _SOURCES.where(sources.c.source_id == source_id)
        if within is not None:
            wanted = wanted.where(sources.c.collection.in_(sorted(within)))
        if row := connection.execute(wanted).first():
            return _source(row)
    raise SourceNotFound(source_id)


def preview_name(connection: Connection, source_id: str) -> str:
    """The name of a source's preview file; SourceNotFound where there is no such source."""
    wanted = sa.select(sources.c.preview).where(sources.c.source_id == source_id)
    name = connection.execute(wanted).scalar() if is_source_id(source_id) else None
    if name is None:
        raise SourceNotFound(source_id)
    return str(name)


def page(
    connection: Connection,
    where: SourceFilter | None,
    *,
    limit: int,
    cursor: str | None,
    order: Order = "oldest",
) -> Page:
    """At most `limit` matching sources, those added first coming first, or last if `newest` do.

    Sources added or removed between two pages neither repeat nor hide others.

    Raises:
        InvalidCursor, InvalidField: cursor, limit or filter make no sense.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidField("limit", f"must be from 1 to {LARGEST_PAGE}")
    secret = cursors.secret(connection)
    place = sources.c.vector_id
    conditions = _conditions(where or SourceFilter())
    if cursor is not None:
        after = cursors.decode(cursor, secret)
        conditions.append(place > after if order == "oldest" else place < after)
    wanted = _SOURCES.where(*conditions).limit(limit + 1)
    rows = connection.execute(wanted.order_by(place if order == "oldest" else place.desc())).all()
    items = tuple(map(_source, rows[:limit]))
    more = len(rows) > limit
    return Page(items, cursors.encode(items[-1].vector_id, secret) if more else None)


def by_vector_ids(connection: Connection, vector_ids: Sequence[int]) -> dict[int, Source]:
    """The live ones among `vector_ids`."""
    rows = rows_among(connection, _SOURCES, sources.c.vector_id, map(int, vector_ids))
    return {row.vector_id: _source(row) for row in rows}


def by_digests(
    connection: Connection, collection: str, digests: Sequence[str]
) -> dict[str, Source]:
    """The sources of `collection` that have these bytes, by sha256."""
    validation.collection_name(collection)
    wanted = _SOURCES.where(sources.c.collection == collection)
    sound = filter(validation.is_sha256, digests)
    rows = rows_among(connection, wanted, sources.c.sha256, sound)
    return {row.sha256: _source(row) for row in rows}


def update(
    connection: Connection,
    source_id: str,
    wanted: Mapping[str, Any],
    *,
    if_revision: int | None,
) -> Source:
    """Set the fields in `wanted`; a source that has these values already stays as it is.

    Raises:
        SourceNotFound, InvalidField: no such source, or a value that cannot be stored.
        RevisionMismatch: `if_revision` is given and is not the source's revision.
    """
    values = {field: validation.changeable(field, value) for field, value in wanted.items()}
    current = find(connection, source_id)
    if if_revision is not None and if_revision != current.revision:
        raise RevisionMismatch(source_id, expected=if_revision, actual=current.revision)
    if all(_same(getattr(current, field), value) for field, value in values.items()):
        return current
    connection.execute(
        sa.update(sources)
        .where(sources.c.vector_id == current.vector_id)
        .values(**values, revision=current.revision + 1, updated_at=datetime.now(UTC))
    )
    changes.append(connection, "update", [(current.vector_id, current.collection)])
    return find(connection, source_id)


def _source(row: Row[Any]) -> Source:
    return Source(**row._asdict())


def _conditions(where: SourceFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if where.collections is not None:
        names = sorted(validation.collection_name(name) for name in where.collections)
        conditions.append(sources.c.collection.in_(names))
    if where.copies:
        held_again = (
            sa.select(sources.c.sha256)
            .where(*conditions)
            .group_by(sources.c.sha256)
            .having(sa.func.count() > 1)
        )
        conditions.append(sources.c.sha256.in_(held_again))
    if where.text is not None:
        conditions.append(_holding(validation.text("text", where.text, longest=512)))
    if where.created_from is not None:
        conditions.append(sources.c.created_at >= where.created_from)
    if where.created_before is not None:
        conditions.append(sources.c.created_at < where.created_before)
    if where.sha256 is not None:
        conditions.append(sources.c.sha256 == validation.sha256(where.sha256))
    for field in ("uri", "creator", "licence"):
        value = getattr(where, field)
        if value is not None:
            conditions.append(sources.c[field] == validation.changeable(field, value))
    return conditions


def _holding(text: str) -> ColumnElement[bool]:
    """That a text field of a source holds this text, or that it is the id or the digest."""
    parts = (sources.c[field].icontains(text, autoescape=True) for field in _TEXTS)
    return sa.or_(*parts, sources.c.source_id == text, sources.c.sha256 == text)


def _same(held: object, wanted: object) -> bool:
    # As JSON, because Python takes 1, 1.0 and True for the same value.
    return json.dumps(held, sort_keys=True) == json.dumps(wanted, sort_keys=True)

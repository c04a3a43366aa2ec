"""API keys as rows: made once, kept as digests, checked in constant time; knows no HTTP.

A token is `attr_<id>_<secret>`. The id finds the row and is no secret; the secret has 256 random
bits, so a plain SHA-256 of it can be neither guessed nor looked up in a table, and needs no salt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from attribution.catalog import validation
from attribution.catalog.database import Database
from attribution.catalog.errors import InvalidField, KeyNotFound
from attribution.catalog.records import SCOPES, IssuedKey, Key, Scope
from attribution.catalog.schema import keys

_NAME_LENGTH = 128
_MOST_COLLECTIONS = 1000
_TOKEN = re.compile(r"attr_([a-z2-7]{16})_([a-z2-7]{52})")
_NO_DIGEST = "0" * 64  # of no secret that anybody knows: unknown ids cost the same comparison


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key with the digest of its secret, on its way from one catalog to another."""

    key: Key
    digest: str = field(repr=False)


class Keys:
    """The keys of a catalog. Each method is one short transaction; any thread may call it."""

    def __init__(self, database: Database) -> None:
        """Use `Catalog.keys`."""
        self._database = database

    def create(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        collections: Collection[str] | None = None,
        expires_at: datetime | None = None,
    ) -> IssuedKey:
        """Make a key; its token is in what this returns and nowhere else.

        Args:
            name: whose key it is, for people.
            scopes: what it may do; `admin` stands for all of them.
            collections: what it may see and change; None for all. They need not exist yet.
            expires_at: when it stops being taken; None for never.

        Raises:
            InvalidField: a value that makes no sense; nothing was made.
        """
        with self._database.write() as connection:
            return _create(connection, name, scopes, collections, expires_at)

    def create_first(self, name: str, keep: Callable[[IssuedKey], None]) -> IssuedKey | None:
        """Make an admin key unless there has been any key; None where there has.

        `keep` puts the token where its owner finds it, before the key is committed: a crash, or
        an error of its own, leaves a token without key, never a key that nobody has.
        """
        with self._database.write() as connection:
            if _any(connection):
                return None
            issued = _create(connection, name, frozenset[Scope]({"admin"}), None, None)
            keep(issued)
            return issued

    def verify(self, token: str) -> Key | None:
        """The key that this token is of, whatever its state; None where the token is nobody's."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        with self._database.read() as connection:
            row = _row(connection, f"key_{match[1]}")
        expected = _NO_DIGEST if row is None else row["digest"]
        # Compared whether there is a row or not, and never byte by byte.
        right = hmac.compare_digest(_digest(match[2]), expected)
        return _key(row) if right and row is not None else None

    def every(self) -> tuple[Key, ...]:
        """All keys ever made, oldest first."""
        return tuple(record.key for record in self.records())

    def records(self) -> tuple[KeyRecord, ...]:
        """All keys ever made, to be taken over by another catalog."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(keys).order_by(keys.c.created_at, keys.c.key_id))
            return tuple(KeyRecord(_key(row), row["digest"]) for row in rows.mappings())

    def take_over(self, records: Sequence[KeyRecord]) -> None:
        """Add the keys of another catalog to ours; what is revoked in either stays revoked."""
        with self._database.write() as connection:
            for record in records:
                ours = _row(connection, record.key.key_id)
                if ours is None:
                    _insert(connection, record)
                elif ours["revoked_at"] is None and record.key.revoked_at is not None:
                    connection.execute(
                        sa.update(keys)
                        .where(keys.c.key_id == record.key.key_id)
                        .values(revoked_at=record.key.revoked_at)
                    )

    def have_been_made(self) -> bool:
        """Whether there is any key, revoked and expired ones included."""
        with self._database.read() as connection:
            return _any(connection)

    def revoke(self, key_id: str) -> Key:
        """Have a key refused from now on; one that is revoked already stays as it is.

        Raises:
            KeyNotFound: no key has this id.
        """
        with self._database.write() as connection:
            connection.execute(
                sa.update(keys)
                .where(keys.c.key_id == key_id, keys.c.revoked_at.is_(None))
                .values(revoked_at=datetime.now(UTC))
            )
            row = _row(connection, key_id)
        if row is None:
            raise KeyNotFound(key_id)
        return _key(row)


def _create(
    connection: Connection,
    name: str,
    scopes: Collection[Scope],
    collections: Collection[str] | None,
    expires_at: datetime | None,
) -> IssuedKey:
    public, secret = _random(10), _random(32)
    now = datetime.now(UTC)
    key = Key(
        key_id=f"key_{public}",
        name=_name(name),
        scopes=_scopes(scopes),
        collections=_collections(collections, scopes),
        created_at=now,
        expires_at=_expiry(expires_at, now),
        revoked_at=None,
    )
    _insert(connection, KeyRecord(key, _digest(secret)))
    return IssuedKey(key, f"attr_{public}_{secret}")


def _insert(connection: Connection, record: KeyRecord) -> None:
    key = record.key
    connection.execute(
        sa.insert(keys).values(
            key_id=key.key_id,
            digest=record.digest,
            name=key.name,
            scopes=sorted(key.scopes),
            collections=None if key.collections is None else sorted(key.collections),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )
    )


def _any(connection: Connection) -> bool:
    return connection.execute(sa.select(keys.c.key_id).limit(1)).first() is not None


def _row(connection: Connection, key_id: str) -> RowMapping | None:
    return connection.execute(sa.select(keys).where(keys.c.key_id == key_id)).mappings().first()


def _key(row: RowMapping) -> Key:
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        collections=None if row["collections"] is None else frozenset(row["collections"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _random(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _name(value: str) -> str:
    name = validation.text("name", value, longest=_NAME_LENGTH)
    if not name.strip():
        raise InvalidField("name", "must say whose key it is")
    return name


def _scopes(values: Collection[str]) -> frozenset[Scope]:
    unknown = sorted(set(values) - set(SCOPES))
    if unknown or not values:
        named = f"; {unknown[0]!r} is none" if unknown else ""
        raise InvalidField("scopes", f"must be at least one of {', '.join(SCOPES)}{named}")
    return frozenset(cast("Collection[Scope]", values))


def _collections(values: Collection[str] | None, scopes: Collection[str]) -> frozenset[str] | None:
    if values is None:
        return None
    if not 1 <= len(values) <= _MOST_COLLECTIONS:
        raise InvalidField("collections", f"must be 1 to {_MOST_COLLECTIONS} names, or left out")
    if "admin" in scopes:
        raise InvalidField("collections", "an admin key reaches everything; it cannot be limited")
    return frozenset(validation.collection_name(name) for name in values)


def _expiry(value: datetime | None, now: datetime) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise InvalidField("expires_at", "must name its time zone, such as 2030-01-01T00:00Z")
    if value <= now:
        raise InvalidField("expires_at", "is in the past: the key could never be used")
    return value.astimezone(UTC)

"""Tables of the catalog; how rows are read and written is the business of the other modules."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, on databases that keep the zone and on SQLite, which does not."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy names it)
        """Refuse naive values: nobody could say later what they meant."""
        if value is not None and value.tzinfo is None:
            raise ValueError("the catalog stores aware datetimes only")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy names it)
        """Give the zone back where the database has dropped it."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Only a plain INTEGER can be SQLite's row id, which holds 64 bits anyway.
BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row. `epoch` names this catalog's history; `generation` is the number of its last change.
meta = Table(
    "meta",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("epoch", sa.String(32), nullable=False),
    Column("generation", BigInt, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

collections = Table(
    "collections",
    metadata,
    Column("name", sa.String(64), primary_key=True),
    Column("description", sa.Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("vector_id", BigInt, primary_key=True),
    Column("source_id", sa.String(32), nullable=False),
    Column("collection", sa.String(64), ForeignKey("collections.name"), nullable=False),
    Column("sha256", sa.String(64), nullable=False),
    Column("uri", sa.String(2048)),
    Column("title", sa.String(512)),
    Column("creator", sa.String(512)),
    Column("licence", sa.String(512)),
    Column("metadata", sa.JSON, nullable=False),
    Column("width", sa.Integer, nullable=False),
    Column("height", sa.Integer, nullable=False),
    Column("format", sa.String(16), nullable=False),
    Column("preview", sa.String(64), nullable=False),  # sha256 of the preview file's bytes
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("revision", sa.Integer, nullable=False),
    UniqueConstraint("source_id"),
    UniqueConstraint("collection", "sha256"),
    Index(None, "sha256"),
    Index(None, "uri"),
    Index(None, "preview"),
    Index(None, "collection", "vector_id"),
    sqlite_autoincrement=True,  # a vector id is never given out twice, not even the last one
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("model_id", sa.String(128), primary_key=True),
    Column(
        "vector_id",
        BigInt,
        ForeignKey("sources.vector_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("vector", sa.LargeBinary, nullable=False),  # float32, little-endian
    Index(None, "vector_id"),
)

changes = Table(
    "changes",
    metadata,
    Column("generation", BigInt, primary_key=True, autoincrement=False),
    Column("operation", sa.String(6), nullable=False),
    Column("vector_id", BigInt, nullable=False),
    Column("collection", sa.String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    CheckConstraint("operation IN ('add', 'remove', 'update')", name="operation"),
)

# Previews whose last source a committed deletion may have removed. The row outlives a crash
# between that commit and the removal of the file.
discarded_previews = Table(
    "discarded_previews",
    metadata,
    Column("preview", sa.String(64), primary_key=True),
)

# What `attribution calibrate` has fitted; a service uses the newest of its encoder.
calibrations = Table(
    "calibrations",
    metadata,
    Column("id", BigInt, primary_key=True),
    Column("model_id", sa.String(128), nullable=False),
    Column("kind", sa.String(32), nullable=False),
    Column("parameters", sa.JSON, nullable=False),
    Column("figures", sa.JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "model_id", "kind"),
    sqlite_autoincrement=True,  # "newest" stays true whatever is deleted
)

"""Tables of the catalog; how rows are read and written is the business of the other modules."""

from __future__ import annotations

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

# Under which encoders new sources are embedded: where each is found, for any process to load it.
encoders = Table(
    "encoders",
    metadata,
    Column("model_id", sa.String(128), primary_key=True),
    Column("name", sa.String(4096), nullable=False),  # `bundled`, a folder or a registry backbone
    Column("weights", sa.String(4096)),
    Column("registered_at", UtcDateTime, nullable=False),
)

# At most one row: the encoder that serves. Without it the settings of each process say which.
active_encoder = Table(
    "active_encoder",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("model_id", sa.String(128), ForeignKey("encoders.model_id"), nullable=False),
    Column("previous", sa.String(128), ForeignKey("encoders.model_id", ondelete="SET NULL")),
    Column("since", UtcDateTime, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
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
    Index(None, "collection", "generation"),
)

# Previews whose last source a committed deletion may have removed. The row outlives a crash
# between that commit and the removal of the file.
discarded_previews = Table(
    "discarded_previews",
    metadata,
    Column("preview", sa.String(64), primary_key=True),
)

# Bytes that must not come back: all that a takedown leaves of the sources it deleted.
takedowns = Table(
    "takedowns",
    metadata,
    Column("sha256", sa.String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", sa.String(512), nullable=False),
)

# One row. What was removed up to change `wanted` must leave the disk; up to `done` it has left the
# database and the previews.
compaction = Table(
    "compaction",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("wanted", BigInt, nullable=False),
    Column("done", BigInt, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# Who may call: one row a key ever made. Of its secret only the SHA-256 is kept. A revoked key
# stays, so that a catalog which has had keys is never taken for one without.
keys = Table(
    "keys",
    metadata,
    Column("key_id", sa.String(32), primary_key=True),
    Column("digest", sa.String(64), nullable=False),
    Column("name", sa.String(128), nullable=False),
    Column("scopes", sa.JSON, nullable=False),
    Column("collections", sa.JSON(none_as_null=True)),  # NULL: all of them
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

# Random bytes that only this catalog knows, by what they are for.
secrets = Table(
    "secrets",
    metadata,
    Column("name", sa.String(32), primary_key=True),
    Column("value", sa.LargeBinary, nullable=False),
)

# Batches of images to be answered: one row a job until it is purged. `parameters` is what is asked
# of every image, `owner` the key that made it, or empty.
jobs = Table(
    "jobs",
    metadata,
    Column("number", BigInt, primary_key=True),
    Column("job_id", sa.String(32), nullable=False),
    Column("owner", sa.String(64), nullable=False),
    Column("state", sa.String(9), nullable=False),
    Column("parameters", sa.JSON, nullable=False),
    Column("total", sa.Integer, nullable=False),
    Column("completed", sa.Integer, nullable=False),
    Column("failed", sa.Integer, nullable=False),
    Column("idempotency_key", sa.String(255)),
    Column("fingerprint", sa.String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    CheckConstraint("state IN ('queued', 'running', 'finished', 'cancelled')", name="state"),
    UniqueConstraint("job_id"),
    UniqueConstraint("owner", "idempotency_key"),
    sqlite_autoincrement=True,  # no number is given out twice: workers take jobs in turns by it
)


def _job() -> Column[int]:
    """The job that a row is of, and goes with."""
    gone_with_it = ForeignKey("jobs.number", ondelete="CASCADE")
    return Column("job", BigInt, gone_with_it, primary_key=True, autoincrement=False)


# The images of a job. An item is waiting until it has a result or its job was cancelled; its bytes
# are a file in the data folder until then. `attempts` outlives a crash of the process.
job_items = Table(
    "job_items",
    metadata,
    _job(),
    Column("position", sa.Integer, primary_key=True, autoincrement=False),
    Column("filename", sa.String(1024)),
    Column("size", BigInt, nullable=False),
    Column("state", sa.String(9), nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    CheckConstraint("state IN ('waiting', 'ended', 'cancelled')", name="state"),
    Index(None, "job", "state", "attempts", "position"),
)

# Who tries an item, which nobody else does as long as the lease of that name holds.
job_claims = Table(
    "job_claims",
    metadata,
    _job(),
    Column("position", sa.Integer, primary_key=True, autoincrement=False),
    Column("worker", sa.String(64), nullable=False),
)

# How items ended, numbered within their job in the order of ending; never more than one an item.
# `record` is what was found, with sources by vector id, or what went wrong.
job_results = Table(
    "job_results",
    metadata,
    _job(),
    Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    Column("position", sa.Integer, nullable=False),
    Column("record", sa.JSON, nullable=False),
    Column("failed", sa.Boolean, nullable=False),
    Column("sha256", sa.String(64)),  # of the image, where it could be read
    UniqueConstraint("job", "position"),
)

# Jobs that are as good as gone: nothing of them is left but images that cannot be removed yet.
purged_jobs = Table(
    "purged_jobs",
    metadata,
    _job(),
    Column("at", UtcDateTime, nullable=False),
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

# What the background of an encoder has found in an index that is in no file, the latest of each.
kept_nulls = Table(
    "kept_nulls",
    metadata,
    Column("model_id", sa.String(128), primary_key=True),
    Column("owner", sa.JSON, nullable=False),  # of which background and rule
    Column("generation", BigInt, nullable=False),
    Column("arrays", sa.LargeBinary, nullable=False),
    Column("saved_at", UtcDateTime, nullable=False),
)

# Which process does what only one may do at a time, and until when it does unless it says so again.
leases = Table(
    "leases",
    metadata,
    Column("name", sa.String(64), primary_key=True),
    Column("holder", sa.String(64), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

# How far the index that several processes search has got, and the null as of there.
published = Table(
    "published",
    metadata,
    Column("model_id", sa.String(128), primary_key=True),
    Column("generation", BigInt, nullable=False),
    Column("state", sa.JSON, nullable=False),
    Column("null_owner", sa.JSON, nullable=False),
    Column("null_arrays", sa.LargeBinary),
    Column("at", UtcDateTime, nullable=False),
)

# What the addresses that the operator lists are still to be told, one row a message and address;
# gone once it was taken. Sources are named by vector id, so that a deleted one is named no more.
webhooks = Table(
    "webhooks",
    metadata,
    Column("number", BigInt, primary_key=True),
    Column("message_id", sa.String(64), nullable=False),
    Column("url", sa.String(2048), nullable=False),
    Column("kind", sa.String(32), nullable=False),
    Column("record", sa.JSON, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("dead", sa.Boolean, nullable=False),  # given up; the operator decides
    Column("trouble", sa.String(512)),
    UniqueConstraint("message_id", "url"),
    Index(None, "url", "dead", "due_at"),
    sqlite_autoincrement=True,
)

"""Collections, sources, embeddings and the log of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("epoch", sa.String(32), nullable=False),
        sa.Column("generation", BigInt, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meta")),
    )
    op.create_table(
        "collections",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_collections")),
    )
    _create_sources()
    op.create_table(
        "embeddings",
        sa.Column("model_id", sa.String(128), nullable=False),
        sa.Column("vector_id", BigInt, autoincrement=False, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["vector_id"],
            ["sources.vector_id"],
            name=op.f("fk_embeddings_vector_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "vector_id", name=op.f("pk_embeddings")),
    )
    op.create_index(op.f("ix_embeddings_vector_id"), "embeddings", ["vector_id"])
    op.create_table(
        "changes",
        sa.Column("generation", BigInt, autoincrement=False, nullable=False),
        sa.Column("operation", sa.String(6), nullable=False),
        sa.Column("vector_id", BigInt, nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "operation IN ('add', 'remove', 'update')", name=op.f("ck_changes_operation")
        ),
        sa.PrimaryKeyConstraint("generation", name=op.f("pk_changes")),
    )
    op.create_table(
        "discarded_previews",
        sa.Column("preview", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("preview", name=op.f("pk_discarded_previews")),
    )


def _create_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("vector_id", BigInt, nullable=False),
        sa.Column("source_id", sa.String(32), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("uri", sa.String(2048)),
        sa.Column("title", sa.String(512)),
        sa.Column("creator", sa.String(512)),
        sa.Column("licence", sa.String(512)),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("preview", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"], ["collections.name"], name=op.f("fk_sources_collection")
        ),
        sa.PrimaryKeyConstraint("vector_id", name=op.f("pk_sources")),
        sa.UniqueConstraint("source_id", name=op.f("uq_sources_source_id")),
        sa.UniqueConstraint("collection", "sha256", name=op.f("uq_sources_collection_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sources_sha256"), "sources", ["sha256"])
    op.create_index(op.f("ix_sources_uri"), "sources", ["uri"])
    op.create_index(op.f("ix_sources_preview"), "sources", ["preview"])
    op.create_index(op.f("ix_sources_collection_vector_id"), "sources", ["collection", "vector_id"])


def downgrade() -> None:
    for table in ("discarded_previews", "changes", "embeddings", "sources", "collections", "meta"):
        op.drop_table(table)

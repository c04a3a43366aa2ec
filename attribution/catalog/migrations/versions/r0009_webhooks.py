"""What is still to be told to the addresses that the operator has listed, and what could not be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("number", BigInt, nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dead", sa.Boolean, nullable=False),
        sa.Column("trouble", sa.String(512), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("message_id", "url", name=op.f("uq_webhooks_message_id_url")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_webhooks_url_dead_due_at"), "webhooks", ["url", "dead", "due_at"])


def downgrade() -> None:
    op.drop_table("webhooks")

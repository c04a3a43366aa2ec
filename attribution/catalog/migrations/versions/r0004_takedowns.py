"""Takedowns, and how far what was deleted has left the disk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    # Bytes that must not come back: all that a takedown leaves of the sources it deleted.
    op.create_table(
        "takedowns",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_takedowns")),
    )
    # One row. What was removed up to change `wanted` must leave the disk.
    compaction = op.create_table(
        "compaction",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("wanted", BigInt, nullable=False),
        sa.Column("done", BigInt, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_compaction_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compaction")),
    )
    op.bulk_insert(compaction, [{"id": 1, "wanted": 0, "done": 0}])


def downgrade() -> None:
    op.drop_table("compaction")
    op.drop_table("takedowns")

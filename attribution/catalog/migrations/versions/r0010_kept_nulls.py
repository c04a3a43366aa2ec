"""What the background of an encoder has found, where the index is in no file beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "kept_nulls",
        sa.Column("model_id", sa.String(128), nullable=False),
        sa.Column("owner", sa.JSON, nullable=False),
        sa.Column("generation", BigInt, nullable=False),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_kept_nulls")),
    )


def downgrade() -> None:
    op.drop_table("kept_nulls")

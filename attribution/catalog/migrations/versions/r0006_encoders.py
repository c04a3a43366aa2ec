"""Encoders that new sources are embedded under, and the one that serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Where an encoder is found: a name or a folder, and a weights file where there is one.
    op.create_table(
        "encoders",
        sa.Column("model_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(4096), nullable=False),
        sa.Column("weights", sa.String(4096)),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_encoders")),
    )
    # At most one row; without one the settings of each process say which encoder serves.
    op.create_table(
        "active_encoder",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("model_id", sa.String(128), nullable=False),
        sa.Column("previous", sa.String(128)),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_active_encoder_one_row")),
        sa.ForeignKeyConstraint(
            ["model_id"], ["encoders.model_id"], name=op.f("fk_active_encoder_model_id")
        ),
        sa.ForeignKeyConstraint(
            ["previous"],
            ["encoders.model_id"],
            name=op.f("fk_active_encoder_previous"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_active_encoder")),
    )


def downgrade() -> None:
    op.drop_table("active_encoder")
    op.drop_table("encoders")

"""Jobs, their items and their results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    # Batches of images to be answered: one row a job until it is purged.
    op.create_table(
        "jobs",
        sa.Column("number", BigInt, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'cancelled')", name=op.f("ck_jobs_state")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_jobs")),
        sa.UniqueConstraint("job_id", name=op.f("uq_jobs_job_id")),
        sa.UniqueConstraint("owner", "idempotency_key", name=op.f("uq_jobs_owner_idempotency_key")),
        sqlite_autoincrement=True,
    )
    # The images of a job, each waiting until it has a result or the job was cancelled.
    op.create_table(
        "job_items",
        sa.Column("job", BigInt, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("filename", sa.String(1024)),
        sa.Column("size", BigInt, nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'ended', 'cancelled')", name=op.f("ck_job_items_state")
        ),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.number"], name=op.f("fk_job_items_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", "position", name=op.f("pk_job_items")),
    )
    op.create_index(
        op.f("ix_job_items_job_state_attempts_position"),
        "job_items",
        ["job", "state", "attempts", "position"],
    )
    # How items ended, numbered within their job in the order of ending.
    op.create_table(
        "job_results",
        sa.Column("job", BigInt, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("failed", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.number"], name=op.f("fk_job_results_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", "sequence", name=op.f("pk_job_results")),
        sa.UniqueConstraint("job", "position", name=op.f("uq_job_results_job_position")),
    )


def downgrade() -> None:
    for table in ("job_results", "job_items", "jobs"):
        op.drop_table(table)

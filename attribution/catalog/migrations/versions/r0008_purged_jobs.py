"""Jobs that were purged and whose images are on the disk nevertheless."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "purged_jobs",
        sa.Column("job", BigInt, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.number"], name=op.f("fk_purged_jobs_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_purged_jobs")),
    )


def downgrade() -> None:
    # Older code knows no job that is only half purged.
    op.execute("DELETE FROM jobs WHERE number IN (SELECT job FROM purged_jobs)")
    op.drop_table("purged_jobs")

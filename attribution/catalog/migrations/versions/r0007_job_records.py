"""Results of jobs as records of what was found, with the digest of the image beside them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_AT_ONCE = 500

_results = sa.table(
    "job_results",
    sa.column("job", sa.BigInteger),
    sa.column("sequence", sa.Integer),
    sa.column("record", sa.JSON),
    sa.column("sha256", sa.String),
)


def upgrade() -> None:
    with op.batch_alter_table("job_results") as batch:
        batch.alter_column("document", new_column_name="record", existing_type=sa.JSON)
        batch.add_column(sa.Column("sha256", sa.String(64)))
    connection = op.get_bind()
    place = sa.tuple_(_results.c.job, _results.c.sequence)
    last = (0, 0)
    while rows := connection.execute(
        sa.select(_results.c.job, _results.c.sequence, _results.c.record)
        .where(place > sa.tuple_(*last))
        .order_by(_results.c.job, _results.c.sequence)
        .limit(_AT_ONCE)
    ).all():
        for job, sequence, document in rows:
            connection.execute(
                sa.update(_results)
                .where(_results.c.job == job, _results.c.sequence == sequence)
                .values(_converted(document))
            )
        last = (rows[-1].job, rows[-1].sequence)


def downgrade() -> None:
    # Older code cannot read the records; without their results jobs would be wrong.
    for table in ("job_results", "job_items", "jobs"):
        op.execute(sa.delete(sa.table(table)))
    with op.batch_alter_table("job_results") as batch:
        batch.drop_column("sha256")
        batch.alter_column("record", new_column_name="document", existing_type=sa.JSON)


def _converted(document: dict[str, Any]) -> dict[str, Any]:
    """Columns of a result that was kept as the API's document."""
    if "problem" in document:
        problem = document["problem"]
        kept = {
            "slug": problem["type"].removeprefix("/problems/"),
            "detail": problem["detail"],
            "errors": problem.get("errors", []),
        }
        return {"record": {"problem": kept}}
    answer = document["attribution"]
    query, timings = answer["query"], answer["timings_ms"]
    record = {
        "attribution": {
            **{
                name: answer[name]
                for name in (
                    "model_id", "index_generation", "decision", "p_value", "alpha", "calibration",
                    "other_share", "unattributed_share",
                )
            },
            "sources": [_source(source) for source in answer["sources"]],
        },
        "query": {name: query[name] for name in ("width", "height", "format")},
        "timings": {
            stage: None if milliseconds is None else milliseconds / 1000.0
            for stage, milliseconds in timings.items()
        },
    }  # fmt: skip
    return {"record": record, "sha256": query["sha256"]}


def _source(source: dict[str, Any]) -> dict[str, Any]:
    names = ("rank", "score", "p_value", "share", "attributed")
    return {"source": source["vector_id"], **{name: source[name] for name in names}}

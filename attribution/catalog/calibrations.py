"""Fitted calibrations, newest first; what their parameters mean is known elsewhere."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.records import FittedCalibration
from attribution.catalog.schema import calibrations

_COLUMNS = [
    calibrations.c.id,
    calibrations.c.model_id,
    calibrations.c.kind,
    calibrations.c.parameters,
    calibrations.c.figures,
    calibrations.c.created_at,
]


def add(
    connection: Connection,
    *,
    model_id: str,
    kind: str,
    parameters: Mapping[str, float],
    figures: Mapping[str, Any],
) -> FittedCalibration:
    """Keep a calibration; it is now the newest of its encoder and kind."""
    now = datetime.now(UTC)
    inserted = connection.execute(
        sa.insert(calibrations).values(
            model_id=model_id,
            kind=kind,
            parameters=dict(parameters),
            figures=dict(figures),
            created_at=now,
        )
    )
    (number,) = inserted.inserted_primary_key or (0,)
    return FittedCalibration(int(number), model_id, kind, dict(parameters), dict(figures), now)


def newest(
    connection: Connection, model_id: str, kind: str, *, after: int = 0
) -> FittedCalibration | None:
    """The last one added for this encoder and of this kind; None where its id is not > `after`."""
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(
            calibrations.c.model_id == model_id,
            calibrations.c.kind == kind,
            calibrations.c.id > after,
        )
        .order_by(calibrations.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else FittedCalibration(*row)

"""Fitted calibrations, newest first; what their parameters mean is known elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from attribution.catalog.database import Database
from attribution.catalog.records import FittedCalibration
from attribution.catalog.schema import calibrations


class Calibrations:
    """What was fitted for each encoder, by the kind of calibration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        model_id: str,
        kind: str,
        parameters: Mapping[str, float],
        figures: Mapping[str, Any],
    ) -> FittedCalibration:
        """Keep what was fitted: the newest of its encoder and kind. Services take it up live."""
        now = datetime.now(UTC)
        with self._database.write() as connection:
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

    def newest(self, model_id: str, kind: str, *, after: int = 0) -> FittedCalibration | None:
        """The last one added for this encoder and of this kind; None where its id is <= `after`."""
        newest = (
            sa.select(calibrations)
            .where(
                calibrations.c.model_id == model_id,
                calibrations.c.kind == kind,
                calibrations.c.id > after,
            )
            .order_by(calibrations.c.id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(newest).first()
        return None if row is None else FittedCalibration(*row)

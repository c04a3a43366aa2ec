"""What was worked out from an index in no file, for the next start; knows not what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from attribution.catalog.database import Database
from attribution.catalog.schema import kept_nulls


@dataclass(frozen=True, slots=True)
class KeptArrays:
    """What was kept for an encoder.

    Attributes:
        owner: what it was made by.
        generation: the last change that it reflects.
        arrays: as whoever keeps it writes them.
    """

    owner: Mapping[str, Any]
    generation: int
    arrays: bytes


class KeptNulls:
    """One an encoder, the latest."""

    def __init__(self, database: Database) -> None:
        """Part of a `Catalog`."""
        self._database = database

    def put(self, model_id: str, kept: KeptArrays) -> None:
        """Keep this in the place of what was kept for the encoder before."""
        with self._database.write() as connection:
            connection.execute(sa.delete(kept_nulls).where(kept_nulls.c.model_id == model_id))
            connection.execute(
                sa.insert(kept_nulls).values(
                    model_id=model_id,
                    owner=dict(kept.owner),
                    generation=kept.generation,
                    arrays=kept.arrays,
                    saved_at=datetime.now(UTC),
                )
            )

    def find(self, model_id: str) -> KeptArrays | None:
        """What was kept last for the encoder; None for nothing."""
        wanted = sa.select(kept_nulls.c.owner, kept_nulls.c.generation, kept_nulls.c.arrays)
        with self._database.read() as connection:
            row = connection.execute(wanted.where(kept_nulls.c.model_id == model_id)).first()
        return None if row is None else KeptArrays(*row)

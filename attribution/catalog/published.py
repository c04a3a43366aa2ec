"""How far the index that all processes search has got, and the null as of there, for readers.

Written by whoever holds the lease of the indexer, in the transaction that finds so: one that has
lost it publishes nothing. Knows not what a null is. What the next indexer goes on from is more, and
kept now and then (`kept_nulls`); this is little, and written after every batch of changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from attribution.catalog import leases
from attribution.catalog.database import Database
from attribution.catalog.schema import published

INDEXER = "indexer"
"""Name of the lease of the one process that writes the index."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the indexer says of the index of one encoder.

    Attributes:
        generation: the last change that searches see.
        state: what else a reader must know of the index and of its null.
        null_owner: whose null it is: of which background, by which rule; empty for none.
        null_arrays: the null as of the generation, as whoever publishes it writes it.
    """

    generation: int
    state: Mapping[str, Any]
    null_owner: Mapping[str, Any]
    null_arrays: bytes | None


class PublishedIndexes:
    """One an encoder, the latest; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        """Part of a `Catalog`."""
        self._database = database

    def put(self, model_id: str, new: Published, *, holder: str) -> bool:
        """Publish; False, and nothing done, where the holder is not the indexer (any more).

        Nor is anything taken back: readers may have answered by a later generation.
        """
        of_model = published.c.model_id == model_id
        with self._database.write() as connection:
            if not leases.is_held(connection, INDEXER, holder):
                return False
            known = connection.execute(sa.select(published.c.generation).where(of_model)).scalar()
            if known is not None and known > new.generation:
                return False
            connection.execute(sa.delete(published).where(of_model))
            values = {**asdict(new), "model_id": model_id, "at": datetime.now(UTC)}
            connection.execute(sa.insert(published).values(**values))
            return True

    def withdraw(self, model_id: str, *, holder: str | None) -> bool:
        """Nothing is published of an encoder any more: its index is not whole.

        False, and nothing done, where the holder is not the indexer (any more); None is one that
        needs no lease while nobody has it.
        """
        with self._database.write() as connection:
            if not (
                leases.is_free(connection, INDEXER)
                if holder is None
                else leases.is_held(connection, INDEXER, holder)
            ):
                return False
            connection.execute(sa.delete(published).where(published.c.model_id == model_id))
            return True

    def at(self, model_id: str) -> datetime | None:
        """When something was published last; None where nothing is. Cheap, to be asked often."""
        wanted = sa.select(published.c.at).where(published.c.model_id == model_id)
        with self._database.read() as connection:
            found: datetime | None = connection.execute(wanted).scalar_one_or_none()
            return found

    def find(self, model_id: str) -> Published | None:
        """What is published of the index of an encoder."""
        names = ("generation", "state", "null_owner", "null_arrays")
        wanted = sa.select(*(published.c[name] for name in names))
        with self._database.read() as connection:
            row = connection.execute(wanted.where(published.c.model_id == model_id)).first()
        return None if row is None else Published(*row)

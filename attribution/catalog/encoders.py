"""Embeddings of several encoders side by side: how far each has got, filling in, and activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import changes, embeddings, registering, validation
from attribution.catalog import sources as source_rows
from attribution.catalog.database import Database
from attribution.catalog.errors import CoverageIncomplete, EncoderActive, EncoderNotRegistered
from attribution.catalog.records import RegisteredEncoder, Registry
from attribution.catalog.schema import embeddings as embedding_table
from attribution.catalog.schema import sources


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the `sources` have a row of an encoder."""

    model_id: str
    embedded: int
    sources: int

    @property
    def full(self) -> bool:
        """Whether every source can be found with this encoder."""
        return self.embedded == self.sources


@dataclass(frozen=True, slots=True)
class Lacking:
    """A source without a row of an encoder."""

    vector_id: int
    source_id: str


class Encoders:
    """Which encoders have rows here; each method is one transaction, for any thread."""

    def __init__(self, database: Database) -> None:
        """Part of a `Catalog`."""
        self._database = database

    def registry(self) -> Registry:
        """The encoders registered and which one serves; two small reads, to be asked often."""
        with self._database.read() as connection:
            return registering.registry(connection)

    def register(self, encoder: RegisteredEncoder) -> None:
        """Have new sources embedded under this encoder too, by whoever adds them.

        Registered again, the place where it is found is what is given last.

        Raises:
            InvalidField: a value cannot be stored.
        """
        validation.model_id(encoder.model_id)
        validation.text("name", encoder.name, longest=4096)
        if encoder.weights is not None:
            validation.text("weights", encoder.weights, longest=4096)
        with self._database.write() as connection:
            registering.put(connection, encoder)

    def activate(self, model_id: str) -> Registry:
        """Have every process that serves this catalog answer with this encoder, from now on.

        Coverage is counted in the transaction that writes the row, and from then on no source is
        added without a row of this encoder: nothing that was found before is lost. The encoder
        active before becomes `previous`, and is gone back to by activating it.

        Raises:
            EncoderNotRegistered: it must be registered first.
            CoverageIncomplete: some sources have no row of it.
        """
        with self._database.write() as connection:
            coverage = _coverage(connection, model_id)
            if not coverage.full:
                raise CoverageIncomplete(model_id, coverage.embedded, coverage.sources)
            registering.activate(connection, model_id)
            return registering.registry(connection)

    def coverage(self, model_id: str, *, until: int | None = None) -> Coverage:
        """How many sources have a row of this encoder; up to a vector id where one is given."""
        with self._database.read() as connection:
            return _coverage(connection, model_id, until)

    def every(self) -> tuple[Coverage, ...]:
        """The coverage of every encoder that has rows, by `model_id`."""
        with self._database.read() as connection:
            return tuple(_coverage(connection, name) for name in embeddings.models(connection))

    def last_id(self, model_id: str) -> int:
        """The largest vector id that has a row of this encoder; 0 for none."""
        last = sa.select(sa.func.max(embedding_table.c.vector_id)).where(
            embedding_table.c.model_id == model_id
        )
        with self._database.read() as connection:
            return int(connection.execute(last).scalar_one() or 0)

    def lacking(
        self, model_id: str, *, after_vector_id: int = 0, limit: int = 256
    ) -> tuple[Lacking, ...]:
        """Sources without a row of this encoder, by ascending vector id."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(sources.c.vector_id, sources.c.source_id)
                .where(sources.c.vector_id > after_vector_id, ~_has_row(model_id))
                .order_by(sources.c.vector_id)
                .limit(limit)
            )
            return tuple(Lacking(*row) for row in rows)

    def fill(self, model_id: str, rows: Mapping[int, npt.NDArray[np.float32]]) -> int:
        """Give sources their `(d,)` float32 row of an encoder, by vector id.

        Those deleted meanwhile, and those that have one, are passed over. Returns the generation
        at which an index of this encoder has them.

        Raises:
            InvalidField: a row is not finite, or of another length than the encoder's others.
        """
        validation.model_id(model_id)
        vectors = {vector_id: validation.embedding(row) for vector_id, row in rows.items()}
        with self._database.write() as connection:
            embeddings.require_dimension(connection, model_id, list(vectors.values()))
            live = source_rows.by_vector_ids(connection, list(vectors))
            there = embeddings.embedded(connection, model_id, list(live))
            fresh = {vector_id: vectors[vector_id] for vector_id in live if vector_id not in there}
            embeddings.put(connection, model_id, fresh)
            located = [(vector_id, live[vector_id].collection) for vector_id in sorted(fresh)]
            return changes.append(connection, "add", located)

    def drop(self, model_id: str) -> int:
        """Remove every row of an encoder and forget it; returns how many rows.

        Raises:
            EncoderActive: it serves.
            EncoderNotRegistered: there is none of this name, and no row of it.
        """
        with self._database.write() as connection:
            if registering.active(connection) == model_id:
                raise EncoderActive(model_id)
            known = registering.remove(connection, model_id)
            rows = sa.delete(embedding_table).where(embedding_table.c.model_id == model_id)
            removed = int(connection.execute(rows).rowcount)
            if not (known or removed):
                raise EncoderNotRegistered(model_id)
            return removed

    def drop_rows(self, model_id: str, source_ids: Sequence[str]) -> None:
        """Remove the rows that some sources have of an encoder."""
        wanted = sa.select(sources.c.vector_id).where(sources.c.source_id.in_(source_ids))
        rows = sa.delete(embedding_table).where(
            embedding_table.c.model_id == model_id, embedding_table.c.vector_id.in_(wanted)
        )
        with self._database.write() as connection:
            connection.execute(rows)


def _coverage(connection: Connection, model_id: str, until: int | None = None) -> Coverage:
    every = sa.select(sa.func.count()).select_from(sources)
    rows = sa.select(sa.func.count()).where(embedding_table.c.model_id == model_id)
    if until is not None:
        every = every.where(sources.c.vector_id <= until)
        rows = rows.where(embedding_table.c.vector_id <= until)
    embedded, total = (connection.execute(counted).scalar_one() for counted in (rows, every))
    return Coverage(model_id, int(embedded), int(total))


def _has_row(model_id: str) -> sa.Exists:
    return sa.exists().where(
        embedding_table.c.vector_id == sources.c.vector_id, embedding_table.c.model_id == model_id
    )

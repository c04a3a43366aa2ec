"""Embeddings by encoder and vector id: float32 rows kept as little-endian bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.database import rows_among
from attribution.catalog.errors import EmbeddingsMissing, InvalidField
from attribution.catalog.records import EmbeddingPage
from attribution.catalog.schema import embeddings, sources

_STORED = np.dtype("<f4")

Vectors = npt.NDArray[np.float32]


def dimension(connection: Connection, model_id: str) -> int:
    """Length of the rows of this encoder; 0 while there is none."""
    vector = connection.execute(
        sa.select(embeddings.c.vector).where(embeddings.c.model_id == model_id).limit(1)
    ).scalar()
    return len(vector) // _STORED.itemsize if vector is not None else 0


def require_dimension(connection: Connection, model_id: str, vectors: Sequence[Vectors]) -> None:
    """Refuse rows whose length differs from each other or from those the encoder already has.

    Raises:
        InvalidField: with both lengths.
    """
    lengths = {vector.size for vector in vectors}
    expected = dimension(connection, model_id) or min(lengths, default=0)
    if wrong := lengths - {expected}:
        raise InvalidField(
            "embedding",
            f"has {min(wrong)} numbers where encoder {model_id!r} gives {expected}; "
            "an encoder that gives other vectors needs another model_id",
        )


def embedded(connection: Connection, model_id: str, vector_ids: Sequence[int]) -> set[int]:
    """Those of `vector_ids` that have a row under this encoder."""
    wanted = sa.select(embeddings.c.vector_id).where(embeddings.c.model_id == model_id)
    rows = rows_among(connection, wanted, embeddings.c.vector_id, vector_ids)
    return {row.vector_id for row in rows}


def put(connection: Connection, model_id: str, vectors: Mapping[int, Vectors]) -> None:
    """Store rows by vector id."""
    if vectors:
        connection.execute(
            sa.insert(embeddings),
            [
                {
                    "model_id": model_id,
                    "vector_id": vector_id,
                    "vector": vector.astype(_STORED).tobytes(),
                }
                for vector_id, vector in vectors.items()
            ],
        )


def fetch(connection: Connection, model_id: str, vector_ids: Sequence[int]) -> Vectors:
    """`(n, d)` float32 in the order asked.

    Raises:
        EmbeddingsMissing: names every id without a row.
    """
    ids = [int(vector_id) for vector_id in vector_ids]
    wanted = sa.select(embeddings).where(embeddings.c.model_id == model_id)
    rows = rows_among(connection, wanted, embeddings.c.vector_id, ids)
    found: dict[int, bytes] = {row.vector_id: row.vector for row in rows}
    if missing := [vector_id for vector_id in ids if vector_id not in found]:
        raise EmbeddingsMissing(model_id, missing)
    return _matrix(connection, model_id, [found[vector_id] for vector_id in ids])


def page(
    connection: Connection, model_id: str, *, after_vector_id: int, limit: int
) -> EmbeddingPage:
    """Rows of live sources with vector ids above `after_vector_id`, ascending."""
    columns = (embeddings.c.vector_id, embeddings.c.vector, sources.c.collection)
    rows = connection.execute(_following(columns, model_id, after_vector_id, limit)).all()
    return EmbeddingPage(
        vector_ids=np.array([row.vector_id for row in rows], dtype=np.int64),
        vectors=_matrix(connection, model_id, [row.vector for row in rows]),
        collections=tuple(row.collection for row in rows),
    )


def digests(
    connection: Connection, model_id: str, *, after_vector_id: int, limit: int
) -> tuple[tuple[int, str, str], ...]:
    """Vector id, collection and sha256 of sources with a row, by ascending vector id."""
    columns = (embeddings.c.vector_id, sources.c.collection, sources.c.sha256)
    rows = connection.execute(_following(columns, model_id, after_vector_id, limit))
    return tuple((row.vector_id, row.collection, row.sha256) for row in rows)


def _following(
    columns: Sequence[sa.Column[Any]], model_id: str, after_vector_id: int, limit: int
) -> sa.Select[Any]:
    """Columns of live sources that have a row of this encoder, the next by vector id."""
    return (
        sa.select(*columns)
        .select_from(embeddings)
        .join(sources, sources.c.vector_id == embeddings.c.vector_id)
        .where(embeddings.c.model_id == model_id, embeddings.c.vector_id > after_vector_id)
        .order_by(embeddings.c.vector_id)
        .limit(limit)
    )


def models(connection: Connection) -> tuple[str, ...]:
    """Encoders that have at least one row, by name."""
    rows = connection.execute(sa.select(embeddings.c.model_id).distinct())
    return tuple(sorted(rows.scalars()))


def _matrix(connection: Connection, model_id: str, vectors: Sequence[bytes]) -> Vectors:
    if not vectors:
        return np.empty((0, dimension(connection, model_id)), dtype=np.float32)
    flat = np.frombuffer(b"".join(vectors), dtype=_STORED)
    return flat.reshape(len(vectors), -1).astype(np.float32)

"""Adding a batch of sources: previews first, then rows, embeddings and changes in one commit."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog import (
    changes,
    collections,
    compaction,
    embeddings,
    previews,
    registering,
    sources,
    takedowns,
    validation,
)
from attribution.catalog.database import Database
from attribution.catalog.errors import SourceTakenDown
from attribution.catalog.records import Added, AddedBatch, NewSource, Source
from attribution.catalog.schema import sources as source_table


class _Key(NamedTuple):
    """What makes a source unique."""

    collection: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A checked new source, split into where its pieces go."""

    key: _Key
    columns: dict[str, Any]
    vectors: Mapping[str, npt.NDArray[np.float32]]  # by encoder
    preview: str
    jpeg: bytes


def add(
    database: Database, store: previews.PreviewStore, model_id: str, batch: Sequence[NewSource]
) -> AddedBatch:
    """Add what the collections do not hold yet; see `Catalog.add`."""
    validation.model_id(model_id)
    candidates = [_candidate(model_id, source) for source in batch]
    first = _first_of_each(candidates)

    # Slow file writes stay outside the transaction that makes other writers wait.
    with database.read() as connection:
        _check(connection, candidates)
        held = _held(connection, first)
    store.store({item.preview: item.jpeg for key, item in first.items() if key not in held})

    try:
        with database.write() as connection:
            _check(connection, candidates)
            held = _held(connection, first)
            new = [item for key, item in first.items() if key not in held]
            # Previews are removed under the same lock, perhaps since the lines above stored them.
            gone = {item.preview: item.jpeg for item in new if not store.has(item.preview)}
            store.store(gone)
            known = held | _insert(connection, new)
            generation = _embed(connection, first, known)
    except SourceTakenDown:  # since the look above: what was stored after it is nobody's
        with database.write() as connection:
            compaction.again(connection)
        raise

    created = {item.key for item in new}
    return AddedBatch(generation, tuple(_report(candidates, known, created)))


def _candidate(model_id: str, source: NewSource) -> _Candidate:
    columns = validation.new_source(source)
    others = {
        validation.model_id(other): validation.embedding(row)
        for other, row in source.others.items()
    }
    return _Candidate(
        key=_Key(source.collection, source.sha256),
        columns=columns,
        vectors={**others, model_id: source.embedding},
        preview=previews.digest(source.preview),
        jpeg=source.preview,
    )


def _first_of_each(candidates: Iterable[_Candidate]) -> dict[_Key, _Candidate]:
    first: dict[_Key, _Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.key, candidate)
    return first


def _check(connection: Connection, candidates: Sequence[_Candidate]) -> None:
    collections.require(connection, (item.key.collection for item in candidates))
    takedowns.refuse(connection, (item.key.sha256 for item in candidates))
    registering.require_active(connection, [item.vectors for item in candidates])
    for model_id, rows in _by_encoder(candidates).items():
        embeddings.require_dimension(connection, model_id, rows)


def _by_encoder(candidates: Iterable[_Candidate]) -> dict[str, list[npt.NDArray[np.float32]]]:
    rows: dict[str, list[npt.NDArray[np.float32]]] = {}
    for candidate in candidates:
        for model_id, row in candidate.vectors.items():
            rows.setdefault(model_id, []).append(row)
    return rows


def _held(connection: Connection, keys: Iterable[_Key]) -> dict[_Key, Source]:
    digests: dict[str, list[str]] = {}
    for key in keys:
        digests.setdefault(key.collection, []).append(key.sha256)
    return {
        _Key(collection, sha256): source
        for collection, wanted in digests.items()
        for sha256, source in sources.by_digests(connection, collection, wanted).items()
    }


def _insert(connection: Connection, new: Sequence[_Candidate]) -> dict[_Key, Source]:
    if not new:
        return {}
    now = datetime.now(UTC)
    rows = [
        {
            **item.columns,
            "source_id": _new_source_id(),
            "preview": item.preview,
            "created_at": now,
            "updated_at": now,
            "revision": 1,
        }
        for item in new
    ]
    # One at a time would cost a round trip each; sorted, so that vector ids follow the batch.
    statement = sa.insert(source_table).returning(
        source_table.c.vector_id, sort_by_parameter_order=True
    )
    vector_ids = connection.execute(statement, rows).scalars().all()
    inserted = sources.by_vector_ids(connection, vector_ids)
    return {item.key: inserted[vector_id] for item, vector_id in zip(new, vector_ids, strict=True)}


def _embed(connection: Connection, first: dict[_Key, _Candidate], known: dict[_Key, Source]) -> int:
    """Give every source the embeddings that it lacks, and log it once for all encoders."""
    changed: set[_Key] = set()
    ids = [known[key].vector_id for key in first]
    for model_id in _by_encoder(first.values()):
        embedded = embeddings.embedded(connection, model_id, ids)
        lacking = {
            known[key].vector_id: item.vectors[model_id]
            for key, item in first.items()
            if model_id in item.vectors and known[key].vector_id not in embedded
        }
        embeddings.put(connection, model_id, lacking)
        changed.update(key for key in first if known[key].vector_id in lacking)
    return changes.append(
        connection,
        "add",
        [(known[key].vector_id, key.collection) for key in first if key in changed],
    )


def _report(
    candidates: Iterable[_Candidate], known: dict[_Key, Source], created: set[_Key]
) -> Iterable[Added]:
    unreported = set(created)
    for candidate in candidates:
        yield Added(known[candidate.key], candidate.key in unreported)
        unreported.discard(candidate.key)


def _new_source_id() -> str:
    return "src_" + base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]

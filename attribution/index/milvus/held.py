"""The rows of one encoder as Milvus holds them: a collection, and a line on how far it has got.

Knows neither the catalog nor what is asked of an index. Every read sees what was acknowledged
before it (consistency `Strong`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from attribution.index.milvus.server import Server
from attribution.index.protocol import Ids, Vectors
from attribution.index.view import Contents
from models.parts import Part

LISTS = 1024
"""Lists of the inverted file of a segment. Searching all of them compares every row."""
MOST = 16_384
"""Rows that Milvus gives at once, of a query or a listing."""

_ID, _COLLECTION = "vector_id", "collection"
_STATES = "attribution_states"
_EVERYTHING = f"{_ID} >= 0"
_STRONG = {"consistency_level": "Strong"}


@dataclass(frozen=True, slots=True)
class State:
    """How far Milvus has got with the rows of an encoder.

    Attributes:
        generation: the last change applied; while it is filled, the one to go on from afterwards.
        last_id: no vector id above it was added up to there. Rows above it belong to a batch that
            is still on its way, or was cut short.
        whole: whether it was filled; `last_id` is how far it is, where not.
        lists: how many of a segment's lists a search reads.
        recall_at_10: measured with so many; None where all are read.
        measured_at: rows that there were then.
    """

    generation: int
    last_id: int
    whole: bool
    lists: int = LISTS
    recall_at_10: float | None = None
    measured_at: int = 0


class Held:
    """A collection of Milvus that holds the rows of one encoder for one epoch of a catalog."""

    def __init__(self, server: Server, parts: Sequence[Part], model_id: str, epoch: str) -> None:
        """Nothing is asked yet."""
        self.server = server
        self.parts = tuple(parts)
        digest = hashlib.sha256(model_id.encode()).hexdigest()[:16]
        self.name = f"{_prefix(epoch)}{digest}"
        self._described = f"rows of encoder {model_id} for the catalog with epoch {epoch}"

    # The collection

    @property
    def exists(self) -> bool:
        """Whether Milvus has it."""
        return bool(self.server.call("has_collection", self.name))

    def create(self) -> None:
        """Make the collection, empty, and a place for states where there is none."""
        from pymilvus import DataType  # noqa: PLC0415

        if not self.server.call("has_collection", _STATES):
            schema = self._schema("how far the collections of attribution have got")
            schema.add_field("name", DataType.VARCHAR, is_primary=True, max_length=255)
            schema.add_field("state", DataType.VARCHAR, max_length=4096)
            schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)  # there must be one
            self._create(_STATES, schema, {"unused": ("FLAT", {})})
        schema = self._schema(self._described)
        schema.add_field(_ID, DataType.INT64, is_primary=True)
        schema.add_field(_COLLECTION, DataType.VARCHAR, max_length=64)
        for place, part in enumerate(self.parts):
            schema.add_field(_field(place), DataType.FLOAT_VECTOR, dim=part.dimension)
        # An embedded one is for trying it out: it compares every row, and builds nothing.
        kind: tuple[str, Mapping[str, int]] = ("IVF_FLAT", {"nlist": LISTS})
        if self.server.embedded:
            kind = ("FLAT", {})
        structures = {_field(place): kind for place in self._places}
        self._create(self.name, schema, structures, filtered=_COLLECTION)

    def _schema(self, description: str) -> Any:
        from pymilvus import MilvusClient  # noqa: PLC0415

        return MilvusClient.create_schema(
            auto_id=False, enable_dynamic_field=False, description=description
        )

    def _create(
        self,
        name: str,
        schema: Any,
        structures: Mapping[str, tuple[str, Mapping[str, int]]],
        *,
        filtered: str | None = None,
    ) -> None:
        from pymilvus import MilvusClient  # noqa: PLC0415

        indexes = MilvusClient.prepare_index_params()
        for field, (kind, parameters) in structures.items():
            indexes.add_index(field, index_type=kind, metric_type="IP", params=parameters)
        if filtered is not None:
            indexes.add_index(filtered, index_type="INVERTED")
        self.server.call("create_collection", name, schema=schema, index_params=indexes, **_STRONG)

    def drop(self) -> None:
        """Remove the rows, and what is said of them first: none without the other is believed."""
        if self.server.call("has_collection", _STATES):
            self.server.call("delete", _STATES, ids=[self.name])
        if self.exists:
            self.server.call("drop_collection", self.name)

    def compact(self) -> None:
        """Ask Milvus to write its segments anew without what was deleted; it does so by itself."""
        self.server.call("compact", self.name)

    # How far it has got

    def state(self) -> State | None:
        """What was recorded last; None where there is nothing, or no collection that it is of."""
        if not self.exists or not self.server.call("has_collection", _STATES):
            return None
        found = self.server.read(
            "query", _STATES, filter=f'name == "{self.name}"', output_fields=["state"], **_STRONG
        )
        return State(**json.loads(found[0]["state"])) if found else None

    def record(self, state: State) -> None:
        """Write down how far it has got, once the rows are acknowledged."""
        line = {"name": self.name, "state": json.dumps(asdict(state)), "unused": [0.0, 0.0]}
        self.server.call("upsert", _STATES, data=[line])

    # Rows

    def put(self, ids: Ids, vectors: Vectors, collections: Sequence[str]) -> None:
        """Add rows `(n, d)`, or replace those of the same ids."""
        if not len(ids):
            return
        slices = [vectors[:, part.columns] for part in self.parts]
        rows = [
            {
                _ID: int(vector_id),
                _COLLECTION: collection,
                **{_field(place): rows[number] for place, rows in enumerate(slices)},
            }
            for number, (vector_id, collection) in enumerate(zip(ids, collections, strict=True))
        ]
        self.server.call("upsert", self.name, data=rows)

    def remove(self, ids: Ids) -> None:
        """Delete rows; ids that there are none of are no error."""
        for start in range(0, len(ids), MOST):
            some = [int(vector_id) for vector_id in ids[start : start + MOST]]
            self.server.call("delete", self.name, ids=some)

    def count(self, collections: frozenset[str] | None = None) -> int:
        """How many rows there are, of these collections where they are named."""
        if collections is not None and not collections:
            return 0
        counted = self.server.read(
            "query",
            self.name,
            filter=_within(collections),
            output_fields=["count(*)"],
            **_STRONG,
        )
        return int(counted[0]["count(*)"])

    def rows(self, after: int, until: int | None) -> Contents:
        """Rows with ids in `(after, until]`, the first `MOST` of them by ascending id."""
        bounds = [f"{_ID} > {after}", *([] if until is None else [f"{_ID} <= {until}"])]
        found = self.server.read(
            "query",
            self.name,
            filter=" and ".join(bounds),
            output_fields=[_ID, _COLLECTION, *map(_field, self._places)],
            limit=MOST,
            **_STRONG,
        )
        found = sorted(found, key=lambda row: row[_ID])
        vectors = [
            np.concatenate([np.asarray(row[_field(place)], np.float32) for place in self._places])
            for row in found
        ]
        dimension = self.parts[-1].stop
        return Contents(
            np.array([row[_ID] for row in found], np.int64),
            np.stack(vectors) if vectors else np.empty((0, dimension), np.float32),
            tuple(row[_COLLECTION] for row in found),
        )

    @property
    def _places(self) -> range:
        return range(len(self.parts))

    def search(
        self,
        part: Part,
        queries: Vectors,
        limit: int,
        *,
        lists: int,
        collections: frozenset[str] | None = None,
    ) -> tuple[Ids, Vectors]:
        """What Milvus takes for the best rows of each query, by its own arithmetic.

        Args:
            part: which slice is compared.
            queries: `(n, d')` of it.
            limit: rows a query.
            lists: of each segment that are read.
            collections: searched set; None for all.

        Returns:
            `(n, limit)` ids, -1 where there are fewer, and their inner products, -inf there.
        """
        ids = np.full((len(queries), limit), -1, np.int64)
        scores = np.full((len(queries), limit), -np.inf, np.float32)
        if collections is not None and not collections:
            return ids, scores
        found = self.server.read(
            "search",
            self.name,
            data=list(queries),
            anns_field=_field(self.parts.index(part)),
            limit=limit,
            filter="" if collections is None else _within(collections),
            output_fields=[_ID],
            search_params={"metric_type": "IP", "params": {"nprobe": lists}},
            **_STRONG,
        )
        for row, hits in enumerate(found):
            ids[row, : len(hits)] = [hit[_ID] for hit in hits]
            scores[row, : len(hits)] = [hit["distance"] for hit in hits]
        return ids, scores


def every_held(server: Server, epoch: str) -> Iterator[Held]:
    """Those of an epoch that there are, to take rows out; also of encoders the catalog forgot."""
    for name in server.call("list_collections"):
        if name.startswith(_prefix(epoch)):
            held = Held(server, (), "", epoch)
            held.name = name
            yield held


def _prefix(epoch: str) -> str:
    return f"attribution_{epoch}_"


def _field(place: int) -> str:
    """The vector field of a part: names of parts are free, those of fields are not."""
    return f"part_{place}"


def _within(collections: frozenset[str] | None) -> str:
    if collections is None:
        return _EVERYTHING
    names = ", ".join(json.dumps(name) for name in sorted(collections))
    return f"{_COLLECTION} in [{names}]"

"""Short codes of a base's rows, which propose who is worth comparing: all that touches FAISS.

A structure proposes row positions; it must not know ids or collections, and it decides nothing:
whoever asks it compares what it proposes exactly. It is never changed once built, so any number of
searches run at once. Thread counts are FAISS's own business: nothing is set globally here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from attribution.index.columns import as_queries, long_columns
from attribution.index.protocol import Ids, Vectors
from attribution.index.scan import scan
from attribution.index.sizing import Sizing
from models.parts import Part

# FAISS is built by SWIG: the few stubs it ships know neither keyword arguments nor subclasses.
faiss: Any = importlib.import_module("faiss")

KIND = "pq"
BLOCK = 65_536
TRAINING_ROWS = 20_000  # of 16 centroids a code
COLUMNS = 2  # of a row that share a code of 4 bits
SAMPLE = 200  # queries that recall is measured with: 2,000 neighbours, one standard error 0.2 %


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Product-quantised rows of each part (Jégou et al., TPAMI 2011), over the same rows.

    Two columns share a code of 4 bits, compared by look-up within the processor's registers
    (André, Kermarrec and Le Scouarnec, "Quicker ADC", TPAMI 2021): a quarter of a byte a float.

    Attributes:
        recall_at_10: measured when built, the worst over the parts.
        indexes: the FAISS index of each part, by name.
    """

    recall_at_10: float
    indexes: Mapping[str, Any]

    @classmethod
    def build(cls, matrices: Sequence[Vectors], parts: tuple[Part, ...], sizing: Sizing) -> Self:
        """Code (n, d') rows of each part, and measure what of the nearest is proposed."""
        rows = {part.name: matrix for part, matrix in zip(parts, matrices, strict=True)}
        built = cls(0.0, {name: _built(matrix) for name, matrix in rows.items()})
        recall = min(built._recall(name, matrix, sizing) for name, matrix in rows.items())
        return cls(recall, built.indexes)

    def nominate(self, part: str, queries: Vectors, count: int) -> tuple[Vectors, Ids]:
        """Likely neighbours of (n, d') queries, about how they score, the best first.

        Returns:
            `(n, count)` float32 inner products as the codes have them, and int64 positions, -1 for
            none.
        """
        scores, positions = self.indexes[part].search(np.ascontiguousarray(queries), count)
        return np.asarray(scores, np.float32), np.asarray(positions, np.int64)

    def _recall(self, part: str, rows: Vectors, sizing: Sizing) -> float:
        """Share of the ten nearest others of sampled (n, d') rows that are proposed."""
        sample = np.sort(np.random.default_rng(0).permutation(len(rows))[:SAMPLE])
        queries = as_queries(rows[sample])
        exact = scan(queries, rows, None, min(11, len(rows)))
        _, nominated = self.nominate(part, queries, min(sizing.nominated(10), len(rows)))
        others = exact.position != sample[exact.query]  # a row finds itself; that proves nothing
        query, position = exact.query[others], exact.position[others]
        if not len(query):
            return 1.0
        return float((nominated[query] == position[:, None]).any(axis=1).mean())

    def save(self, folder: Path, parts: tuple[Part, ...]) -> None:
        """Write one file a part, in the order of the parts."""
        for part, path in zip(parts, _paths(folder, parts), strict=True):
            faiss.write_index(self.indexes[part.name], str(path))

    @classmethod
    def load(cls, folder: Path, parts: tuple[Part, ...], *, recall: float) -> Self:
        """Read what `save` wrote. FAISS trusts its files: verify them before."""
        indexes = {
            part.name: faiss.read_index(str(path))
            for part, path in zip(parts, _paths(folder, parts), strict=True)
        }
        return cls(recall, indexes)


def _paths(folder: Path, parts: tuple[Part, ...]) -> tuple[Path, ...]:
    return tuple(folder / f"structure-{number}.faiss" for number in range(len(parts)))


def _built(rows: Vectors) -> Any:
    """A FAISS index of one part's rows, trained on a sample, filled a block at a time."""
    chosen = np.random.default_rng(0).permutation(len(rows))[:TRAINING_ROWS]
    sample = np.ascontiguousarray(rows[np.sort(chosen)])
    order = _columns(sample)
    spread = faiss.RemapDimensionsTransform(rows.shape[1], len(order))
    faiss.copy_array_to_vector(order, spread.map)
    codes = faiss.IndexPQFastScan(len(order), len(order) // COLUMNS, 4, faiss.METRIC_INNER_PRODUCT)
    codes.pq.cp.min_points_per_centroid = 1  # or it complains of a small base
    index = faiss.IndexPreTransform(spread, codes)
    index.train(sample)
    for start in range(0, len(rows), BLOCK):
        index.add(np.ascontiguousarray(rows[start : start + BLOCK]))
    return index


def _columns(rows: Vectors) -> Ids:
    """Which column stands where, `COLUMNS` to a code, -1 for zeros.

    A column that is much longer than the others, such as a correction for hubs, would have the
    centroids of its code to itself, and the other would be lost: it has a code of its own.
    """
    long, _ = long_columns(rows)
    order = np.flatnonzero(~long).tolist()
    order += [-1] * (-len(order) % COLUMNS)
    for column in np.flatnonzero(long).tolist():
        order += [column, *[-1] * (COLUMNS - 1)]
    order += [-1] * (COLUMNS * (len(order) // COLUMNS % 2))  # codes come in pairs
    return np.array(order, np.int32)

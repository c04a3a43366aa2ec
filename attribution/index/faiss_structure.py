"""Approximate search structures over a base: the only module that touches FAISS.

A structure proposes row positions; it must not know ids, collections or scores. It is never changed
once built: whatever a search excludes goes into that call's own parameters, so that any number
of searches run at once. Thread counts are FAISS's own business: nothing is set globally here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from attribution.index.protocol import Ids, Mask, Vectors
from attribution.index.scan import scan
from attribution.index.sizing import Kind, Sizing, factory, fetched
from models.parts import Part

# FAISS is built by SWIG: the few stubs it ships know neither keyword arguments nor subclasses.
faiss: Any = importlib.import_module("faiss")

BLOCK = 65_536
LEAST_EFFORT = 64
MOST_EFFORT = 1024
CONSTRUCTION = 80  # neighbours that HNSW weighs when it links a row (efConstruction)
TRAINING_ROWS_A_LIST = 64
SAMPLE = 200  # queries that recall is measured with: 2,000 neighbours, one standard error 0.2 %


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """One FAISS index for each part, over the same rows in the same order.

    Attributes:
        kind: "hnsw" or "ivf".
        effort: nodes an HNSW search keeps (efSearch), or lists an IVF search reads (nprobe).
        recall_at_10: measured when built, the worst over the parts.
        indexes: the FAISS index of each part, by name.
    """

    kind: Kind
    effort: int
    recall_at_10: float
    indexes: Mapping[str, Any]

    @classmethod
    def build(
        cls, kind: Kind, matrices: Sequence[Vectors], parts: tuple[Part, ...], sizing: Sizing
    ) -> Self:
        """Index (n, d') rows of each part, then raise the effort until the recall is enough."""
        rows = {part.name: matrix for part, matrix in zip(parts, matrices, strict=True)}
        indexes = {name: _built(kind, matrix) for name, matrix in rows.items()}
        built = cls(kind, LEAST_EFFORT, 0.0, indexes)
        while True:
            recall = min(built.measured_recall(name, matrix) for name, matrix in rows.items())
            built = replace(built, recall_at_10=recall)
            if recall >= sizing.recall or built.effort >= MOST_EFFORT:
                return built
            built = replace(built, effort=2 * built.effort)

    def nominate(self, part: str, queries: Vectors, mask: Mask | None, count: int) -> Ids:
        """(n, count) int64 positions of likely neighbours among the masked rows, -1 for none."""
        index = self.indexes[part]
        effort, selector = self.effort, None
        if mask is not None:
            selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            # What is masked out still takes its place in the walk or in the lists read.
            effort = effort * len(mask) // max(1, int(np.count_nonzero(mask)))
        if self.kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=max(effort, count), sel=selector)
        else:
            parameters = faiss.SearchParametersIVF(nprobe=min(effort, index.nlist), sel=selector)
        _, positions = index.search(np.ascontiguousarray(queries), count, params=parameters)
        return np.asarray(positions, dtype=np.int64)

    def measured_recall(self, part: str, rows: Vectors) -> float:
        """Share of the ten nearest others of sampled (n, d') rows that are among the candidates."""
        sample = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
        queries = rows[sample]
        exact = scan(queries, rows, None, min(11, len(rows)))
        nominated = self.nominate(part, queries, None, min(fetched(10), len(rows)))
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
    def load(
        cls, folder: Path, parts: tuple[Part, ...], *, kind: Kind, effort: int, recall: float
    ) -> Self:
        """Read what `save` wrote. FAISS trusts its files: verify them before."""
        indexes = {
            part.name: faiss.read_index(str(path))
            for part, path in zip(parts, _paths(folder, parts), strict=True)
        }
        return cls(kind, effort, recall, indexes)


def _paths(folder: Path, parts: tuple[Part, ...]) -> tuple[Path, ...]:
    return tuple(folder / f"structure-{number}.faiss" for number in range(len(parts)))


def _built(kind: Kind, rows: Vectors) -> Any:
    """A FAISS index of one part's slice, trained on a sample, filled a block at a time."""
    index = faiss.index_factory(rows.shape[1], factory(kind, len(rows)), faiss.METRIC_INNER_PRODUCT)
    training = len(rows)
    if kind == "hnsw":
        index.hnsw.efConstruction = CONSTRUCTION
    else:
        training = min(training, TRAINING_ROWS_A_LIST * index.nlist)
    sample = np.random.default_rng(0).permutation(len(rows))[:training]
    index.train(np.ascontiguousarray(rows[np.sort(sample)]))
    for start in range(0, len(rows), BLOCK):
        index.add(np.ascontiguousarray(rows[start : start + BLOCK]))
    return index

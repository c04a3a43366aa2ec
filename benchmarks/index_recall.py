"""Recall@10 and query time of each kind of index base against the exact scan, in one run.

Rows are clustered, as embeddings of real collections are; queries are rows moved off by noise, as
generated images are from their sources. Random vectors without clusters would say nothing: their
neighbours are no nearer than strangers.

    python benchmarks/index_recall.py --sizes 20000,60000 --out index_recall.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from attribution.index import Contents, EmbeddedIndex, Hits, Sizing
from models.parts import Part

SIZINGS = {
    "flat": Sizing(flat_below=10**12),
    "hnsw": Sizing(flat_below=0, hnsw_below=10**12),
    "ivf": Sizing(flat_below=0, hnsw_below=0),
}
K = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of base at one size; `flat` is the exact reference of its size.

    Attributes:
        recall_at_10: share of the exact ten that were found, over all queries.
        recall_claimed: what the index measured on its own rows when it was built.
        filtered_recall_at_10: the same under a filter that lets half of the rows through.
        milliseconds: median time of one query asked alone.
        times_faster: exact scan's milliseconds over these.
    """

    rows: int
    kind: str
    build_seconds: float
    recall_at_10: float
    recall_claimed: float | None
    filtered_recall_at_10: float
    milliseconds: float
    times_faster: float


def clustered(
    n: int, queries: int, dimension: int, spread: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows (n, d) around n / 50 centres, and queries (q, d) that are rows plus noise.

    Args:
        n: rows.
        queries: how many of the rows become queries.
        dimension: d.
        spread: length of a row's offset from its centre, which has length 1.
        noise: length of a query's offset from its row.
    """
    rng = np.random.default_rng(0)
    scale = 1 / np.sqrt(dimension)
    centres = rng.standard_normal((max(1, n // 50), dimension), dtype=np.float32) * scale
    rows = centres[rng.integers(0, len(centres), n)]
    rows += spread * scale * rng.standard_normal(rows.shape, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    asked = rows[rng.permutation(n)[:queries]]
    asked = asked + noise * scale * rng.standard_normal(asked.shape, dtype=np.float32)
    return rows, asked / np.linalg.norm(asked, axis=1, keepdims=True)


def recall(found: Hits, exact: Hits) -> float:
    """Share of the exact ids that were found."""
    return float((found.ids[:, :, None] == exact.ids[:, None, :]).any(axis=1).mean())


def query_milliseconds(index: EmbeddedIndex, queries: np.ndarray) -> float:
    """Median time of a query asked alone."""
    times = []
    for query in queries:
        start = time.perf_counter()
        index.search(query[None], K)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def measure(rows: np.ndarray, queries: np.ndarray) -> list[Measured]:
    """Every kind of base over the same rows; the flat one comes first and is the reference."""
    measured: list[Measured] = []
    reference: list[Hits] = []
    half = frozenset({"even"})
    names = tuple("odd" if number % 2 else "even" for number in range(len(rows)))
    contents = Contents(np.arange(len(rows)), rows, names)
    parts = (Part("whole", 0, rows.shape[1]),)
    for kind, sizing in SIZINGS.items():
        start = time.perf_counter()
        index = EmbeddedIndex.from_rows(
            parts, rows.shape[1], "benchmark", "e", contents, generation=1, sizing=sizing
        )
        build = time.perf_counter() - start
        found = [index.search(queries, K), index.search(queries, K, collections=half)]
        reference = reference or found
        milliseconds = query_milliseconds(index, queries[:100])
        exact = measured[0].milliseconds if measured else milliseconds
        measured.append(
            Measured(
                rows=len(rows),
                kind=kind,
                build_seconds=round(build, 2),
                recall_at_10=recall(found[0], reference[0]),
                recall_claimed=index.stats().recall_at_10,
                filtered_recall_at_10=recall(found[1], reference[1]),
                milliseconds=round(milliseconds, 3),
                times_faster=round(exact / milliseconds, 2),
            )
        )
        print(measured[-1], flush=True)
    return measured


def main() -> None:
    """Measure every size and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="20000,60000", help="rows, separated by commas")
    parser.add_argument("--dimension", type=int, default=384, help="floats a row")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--spread", type=float, default=1.0, help="rows' offset from their centre")
    parser.add_argument("--noise", type=float, default=0.7, help="queries' offset from their row")
    parser.add_argument("--out", type=Path, default=Path("index_recall.json"))
    options = parser.parse_args()
    results = [
        asdict(measured)
        for size in options.sizes.split(",")
        for measured in measure(
            *clustered(int(size), options.queries, options.dimension, options.spread, options.noise)
        )
    ]
    report = {
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count()},
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("faiss-cpu", "numpy")},
        "options": {key: str(value) for key, value in vars(options).items()},
        "reference": "flat: exact scan of the same rows in the same run",
        "results": results,
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

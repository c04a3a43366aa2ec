"""How much of the nearest rows an index finds, on the rows that it holds."""

from __future__ import annotations

import numpy as np

from attribution.catalog import Catalog
from attribution.index.columns import as_queries
from attribution.index.protocol import Ids, Index, Vectors
from attribution.index.scan import rank

SAMPLE = 64
"""Rows that are asked as queries."""
NEAREST = 10


def recall(exact: Ids, found: Ids, own: Ids) -> float:
    """Share of the exact nearest that were found, over all queries.

    Args:
        exact: `(n, k)` ids, -1 for none.
        found: `(n, m)` ids.
        own: `(n,)` whose row each query is: it finds itself, and that proves nothing.
    """
    among = (exact[:, :, None] == found[:, None, :]).any(axis=2)
    counted = (exact >= 0) & (exact != own[:, None])
    return float(among[counted].mean()) if counted.any() else 1.0


def sampled(catalog: Catalog, model_id: str) -> tuple[Ids, Vectors]:
    """`(n,)` ids and `(n, d)` rows, as queries, of sources spread over all, at most `SAMPLE`."""
    found: dict[int, Vectors] = {}
    last = catalog.encoders.last_id(model_id)
    for after in np.linspace(0, last, SAMPLE, endpoint=False, dtype=np.int64).tolist():
        page = catalog.live_embeddings(model_id, after_vector_id=after, limit=1)
        found.update(zip(page.vector_ids.tolist(), page.vectors, strict=True))
    rows = np.stack(list(found.values())) if found else np.empty((0, 0), np.float32)
    return np.array(list(found), np.int64), as_queries(rows) if len(rows) else rows


def measured_recall(catalog: Catalog, index: Index) -> float:
    """Share of the ten nearest others of sampled sources that a search finds, in the worst part.

    What is exact is found by comparing them with every row of the catalog, which takes its time.
    """
    own, queries = sampled(catalog, index.model_id)
    if not len(own):
        return 1.0
    exact = _nearest_in_catalog(catalog, index, queries)
    return min(
        recall(exact[part.name], index.search(queries, NEAREST + 1, part=part.name).ids, own)
        for part in index.parts
    )


def _nearest_in_catalog(catalog: Catalog, index: Index, queries: Vectors) -> dict[str, Ids]:
    """`(n, NEAREST + 1)` ids of each part by comparing every row, a page of them at a time."""
    n, k = len(queries), NEAREST + 1
    best = {
        part.name: (np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))
        for part in index.parts
    }
    after = 0
    while len((page := catalog.live_embeddings(index.model_id, after_vector_id=after)).vector_ids):
        for part in index.parts:
            ids, scores = best[part.name]
            products = queries[:, part.columns] @ page.vectors[:, part.columns].T
            both = np.concatenate([ids, np.broadcast_to(page.vector_ids, products.shape)], axis=1)
            query, column = np.nonzero(both >= 0)
            every = np.concatenate([scores, products], axis=1)
            hits = rank(n, k, query, both[query, column], every[query, column])
            best[part.name] = (hits.ids, hits.scores)
        after = int(page.vector_ids[-1])
    return {name: ids for name, (ids, _) in best.items()}

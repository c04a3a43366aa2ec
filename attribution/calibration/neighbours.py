"""The background's nearest sources, kept up to date as sources come and go.

Each background image keeps its best scores in the gallery. An addition is merged; a deletion
searches again for those images that had the deleted source among their best. The result equals a
search from scratch, which a test holds it to.
"""

from __future__ import annotations

import numpy as np

from attribution.calibration.statistic import DEPTH
from attribution.index import ChangeBatch, Hits, Index
from attribution.retrieval import Fusion, Rows, retrieve


class BackgroundNeighbours:
    """The `DEPTH` best sources of every background row.

    Args:
        index: the searched index, already at `index.generation`.
        fusion: the encoder's rule.
        rows: `(n, views * d)` background rows, embedded as queries.
        collections: restrict to these; None for all.
    """

    def __init__(
        self, index: Index, fusion: Fusion, rows: Rows, collections: frozenset[str] | None = None
    ) -> None:
        self._index, self._fusion, self._rows = index, fusion, rows
        self._collections = collections
        self.generation = index.generation
        self.hits: Hits = retrieve(index, fusion, rows, DEPTH, collections=collections)

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch that the index has already applied."""
        removed = set(batch.remove_ids.tolist())
        replaced = np.fromiter(removed | set(batch.add_ids.tolist()), np.int64)
        stale = np.isin(self.hits.ids, replaced).any(axis=1)
        added = [
            place
            for place, vector_id in enumerate(batch.add_ids.tolist())
            if vector_id not in removed
        ]
        if added:
            self._merge(batch.add_ids[added], batch.add_vectors[added])
        if stale.any():
            self._search_again(np.flatnonzero(stale))
        self.generation = batch.generation

    def _merge(self, ids: np.ndarray, vectors: Rows) -> None:
        scores = self._fusion.scores(self._rows, vectors)
        all_ids = np.concatenate([self.hits.ids, np.broadcast_to(ids, scores.shape)], axis=1)
        all_scores = np.concatenate([self.hits.scores, scores], axis=1)
        order = np.lexsort((all_ids, -all_scores), axis=1)[:, :DEPTH]
        self.hits = Hits(
            np.take_along_axis(all_ids, order, axis=1),
            np.take_along_axis(all_scores, order, axis=1),
        )

    def _search_again(self, places: np.ndarray) -> None:
        found = retrieve(
            self._index, self._fusion, self._rows[places], DEPTH, collections=self._collections
        )
        ids, scores = self.hits.ids.copy(), self.hits.scores.copy()
        ids[places], scores[places] = found.ids, found.scores
        self.hits = Hits(ids, scores)

"""The background's nearest sources, kept up to date as sources come and go.

Each background image keeps its best scores in the gallery. An addition is merged; a deletion
searches again for those images that had the deleted source among their best. Scores do not depend
on what they are computed together with, so the result is bit by bit that of a search from
scratch, as long as the index searches exactly; a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.groups import groups_of
from attribution.calibration.statistic import DEPTH, Groups, Scores
from attribution.index import ChangeBatch, Hits, Index
from attribution.index.scan import rank
from attribution.retrieval.fusion import Queries, Rows
from attribution.retrieval.retrieval import pair_scores, part_scores_of, retrieve

_BLOCK = 256  # sources that the whole background is scored against at once


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a background has found in an index at a generation; see `BackgroundNeighbours`."""

    hits: Hits
    parts: Scores
    groups: Groups
    generation: int


class BackgroundNeighbours:
    """The `DEPTH` best sources of every background row, and which of them are one picture.

    Args:
        index: the searched index, already at `index.generation`.
        asked: gives the background's rows, as the encoder's rule prepares them, when needed.
        collections: restrict to these; None for all.
        found: what was found before and kept, to go on from; None to search now.

    Attributes:
        hits: `(n, DEPTH)`, as of `generation`.
        parts: `(n, DEPTH, parts)` what each part says of them, see `part_scores_of`.
        groups: `(n, DEPTH)`, see `groups_of`.
    """

    def __init__(
        self,
        index: Index,
        asked: Callable[[], Queries],
        collections: frozenset[str] | None = None,
        *,
        found: Found | None = None,
    ) -> None:
        self._index, self._prepare = index, asked
        self._collections = collections
        if found is None:
            generation = index.generation
            hits = retrieve(index, asked(), DEPTH, collections=collections)
            parts = part_scores_of(index, asked(), hits.ids)
            found = Found(hits, parts, groups_of(index, hits.ids), generation)
        self.hits: Hits = found.hits
        self.parts: Scores = found.parts
        self.groups: Groups = found.groups
        self.generation = found.generation

    @property
    def _asked(self) -> Queries:
        return self._prepare()

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch that the index has already applied."""
        removed = set(batch.remove_ids.tolist())
        replaced = np.fromiter(removed | set(batch.add_ids.tolist()), np.int64)
        stale = np.asarray(np.isin(self.hits.ids, replaced).any(axis=1), dtype=np.bool_)
        added = [
            place
            for place, vector_id in enumerate(batch.add_ids.tolist())
            if vector_id not in removed
            and (self._collections is None or batch.add_collections[place] in self._collections)
        ]
        changed = stale.copy()
        for start in range(0, len(added), _BLOCK):
            some = added[start : start + _BLOCK]
            better = self._merge(batch.add_ids[some], batch.add_vectors[some], ~stale)
            changed[better] = True
        if stale.any():
            places = np.flatnonzero(stale)
            asked = self._asked.take(places)
            found = retrieve(self._index, asked, DEPTH, collections=self._collections)
            self._put(places, found)
        if changed.any():
            self._look_closer(np.flatnonzero(changed), stale, batch.add_ids)
        self.generation = batch.generation

    def _merge(
        self, ids: NDArray[np.int64], vectors: Rows, wanted: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Take in sources that are among the best of some wanted rows; say of which."""
        scores = self._asked.scores(vectors)
        floor = self.hits.scores[:, -1] - self._asked.slack
        query, column = np.nonzero((scores >= floor[:, None]) & wanted[:, None])
        if not len(query):
            return query
        exact = pair_scores(self._asked, query, vectors, column)
        rows, place = np.unique(query, return_inverse=True)
        kept = np.repeat(np.arange(len(rows)), DEPTH)
        old_ids, old_scores = self.hits.ids[rows].ravel(), self.hits.scores[rows].ravel()
        real = old_ids >= 0
        best = rank(
            len(rows),
            DEPTH,
            np.concatenate([kept[real], place]),
            np.concatenate([old_ids[real], ids[column]]),
            np.concatenate([old_scores[real], exact]),
        )
        self._put(rows, best)
        return rows

    def _look_closer(
        self, places: NDArray[np.int64], stale: NDArray[np.bool_], added: NDArray[np.int64]
    ) -> None:
        """Groups and scores by part of the rows whose hits are others than before.

        Where a row was only merged, those that stayed follow each other as before, so that their
        scores by part are at hand.
        """
        groups, parts, ids = self.groups.copy(), self.parts.copy(), self.hits.ids[places]
        groups[places] = groups_of(self._index, ids)
        unknown = stale[places, None] | np.isin(ids, added)
        before = np.maximum(np.cumsum(~unknown, axis=1) - 1, 0)
        known = np.take_along_axis(parts[places], before[..., None], axis=1)
        asked = self._asked.take(places)
        new = part_scores_of(self._index, asked, np.where(unknown, ids, -1))
        parts[places] = np.where(unknown[..., None], new, known)
        self.groups, self.parts = groups, parts

    def _put(self, places: NDArray[np.int64], found: Hits) -> None:
        """Replace some rows' hits; readers of the old arrays keep them whole."""
        ids, scores = self.hits.ids.copy(), self.hits.scores.copy()
        ids[places], scores[places] = found.ids, found.scores
        self.hits = Hits(ids, scores)

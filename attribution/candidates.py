"""The best sources of a query, a picture once: what is ranked, decided on and shared among."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.groups import pictures_of
from attribution.calibration.statistic import DEPTH, Groups
from attribution.catalog import Catalog
from attribution.index import Hits, Index
from attribution.retrieval.fusion import Queries
from attribution.retrieval.retrieval import retrieve

Copies = Mapping[int, NDArray[np.int64]]
"""Vector ids by that of the candidate which shows the same picture and scores better."""
_BESIDES = 60  # fetched beyond what is wanted, for sources deleted meanwhile and for copies
_TIMES, _MOST = 4, 2_560  # so many times more where copies leave a gap; and no more of one query


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Candidates of n queries.

    Attributes:
        hits: `(n, k)`, one of each picture.
        copies: of each query.
        near: `(n,)` how many of them are among the `DEPTH` best sources of a query, copies counted:
            those that a statistic may take for neighbours, as it does of a background image.
    """

    hits: Hits
    copies: tuple[Copies, ...]
    near: NDArray[np.intp]

    @property
    def groups(self) -> Groups:
        """`(n, k)` as `statistics_of` reads them: what is not near is nobody's neighbour."""
        places = np.arange(self.hits.ids.shape[1], dtype=np.uint8)
        return np.where(places < self.near[:, None], places, np.uint8(0))


def candidates(
    index: Index,
    catalog: Catalog,
    asked: Queries,
    k: int,
    *,
    collections: frozenset[str] | None = None,
    left_out: Sequence[Collection[int]] | None = None,
) -> Candidates:
    """The k best pictures of each query, of those that the catalog still has.

    Of sources that show one picture the best stands for all, so that copies neither crowd out what
    else is held nor count more than once. Where they leave fewer than k pictures, more of that
    query's sources are looked at.

    Args:
        index: where the rows are.
        catalog: it has the last word on what exists.
        asked: the queries, as the encoder's rule has prepared them.
        k: pictures a query.
        collections: searched set; None for all.
        left_out: for each query vector ids to rank as if they were not held; None for none.
    """
    n, generation = len(asked), index.generation
    ids, scores = np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32)
    copies: list[Copies] = [{}] * n
    near = np.zeros(n, np.intp)
    waiting, depth = np.arange(n), k + _BESIDES
    while len(waiting):
        found = retrieve(index, asked.take(waiting), depth, collections=collections)
        more = (found.ids[:, -1] >= 0) & (depth < _MOST)
        # What the index has not seen yet; asked after the search, or it might have seen less.
        gone = np.isin(found.ids, catalog.removed_after(generation)) | (found.ids < 0)
        if left_out is not None:
            for row, query in enumerate(waiting.tolist()):
                gone[row] |= np.isin(found.ids[row], list(left_out[query]))
        found = _without(found, gone)
        few = np.zeros(len(waiting), dtype=bool)
        for row, shown in enumerate(pictures_of(index, found.ids, k)):
            query, kept = waiting[row], len(shown.firsts)
            ids[query, :kept] = found.ids[row, shown.firsts]
            scores[query, :kept] = found.scores[row, shown.firsts]
            copies[query] = {
                int(found.ids[row, first]): found.ids[row, others]
                for first, others in zip(shown.firsts, shown.copies, strict=True)
                if others
            }
            near[query] = np.searchsorted(shown.firsts, DEPTH)
            few[row] = kept < k
        waiting = waiting[few & more]
        depth *= _TIMES
    return Candidates(Hits(ids, scores), tuple(copies), near)


def _without(hits: Hits, gone: NDArray[np.bool_]) -> Hits:
    """What is not `gone`, in order, then padding."""
    order = np.argsort(gone, axis=1, kind="stable")
    return Hits(
        np.take_along_axis(np.where(gone, -1, hits.ids), order, axis=1),
        np.take_along_axis(np.where(gone, -np.inf, hits.scores), order, axis=1).astype(np.float32),
    )

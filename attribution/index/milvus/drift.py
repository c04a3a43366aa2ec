"""Where the rows in a Milvus differ from those of the catalog, and what brings them together.

The catalog is right. What the log names after the generation that Milvus has reached is on its
way, and no drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.catalog import Catalog
from attribution.index.follower import logged_ids
from attribution.index.milvus.held import MOST, Held
from attribution.index.milvus.server import Server
from attribution.index.protocol import EmbeddingSpace, Ids
from attribution.index.view import Contents

_PAGE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """Vector ids of which Milvus does not say what the catalog says.

    Attributes:
        lacking: the catalog has a row, Milvus none.
        surplus: Milvus has a row, the catalog none.
        differing: rows or collections are others.
    """

    lacking: Ids
    surplus: Ids
    differing: Ids

    @property
    def found(self) -> bool:
        """Whether there is any."""
        return bool(len(self.lacking) + len(self.surplus) + len(self.differing))


def find_drift(catalog: Catalog, space: EmbeddingSpace, url: str) -> Drift | None:
    """Compare every row, a page at a time; None where Milvus is not filled yet.

    Raises:
        IndexUnavailable: Milvus cannot be reached.
    """
    return drift_of(catalog, _held(catalog, space, url), space.model_id)


def drift_of(catalog: Catalog, held: Held, model_id: str) -> Drift | None:
    """`find_drift` of what is open."""
    state = held.state()
    if state is None or not state.whole:
        return None
    nothing: Ids = np.empty(0, np.int64)
    lacking, surplus, differing = [nothing], [nothing], [nothing]
    for ours, theirs in _both(catalog, held, model_id):
        lacking.append(np.setdiff1d(ours.ids, theirs.ids))
        surplus.append(np.setdiff1d(theirs.ids, ours.ids))
        differing.append(_differing(ours, theirs))
    coming = logged_ids(catalog, state.generation)
    found = [np.setdiff1d(np.concatenate(ids), coming) for ids in (lacking, surplus, differing)]
    return Drift(*found)


def mend_drift(catalog: Catalog, space: EmbeddingSpace, url: str, drift: Drift) -> None:
    """Make Milvus say of these ids what the catalog says now; a service may run beside.

    Raises:
        IndexUnavailable: Milvus cannot be reached.
    """
    mend(catalog, _held(catalog, space, url), space.model_id, drift)


def mend(catalog: Catalog, held: Held, model_id: str, drift: Drift) -> None:
    """`mend_drift` of what is open."""
    wanted = np.concatenate([drift.lacking, drift.differing])
    for start in range(0, len(wanted), _PAGE):
        ids = np.sort(wanted[start : start + _PAGE])
        for page in _live(catalog, model_id, ids):
            held.put(page.ids, page.vectors, page.collections)
    held.remove(drift.surplus)
    # One that was deleted between our reading and our writing is not to come back by us.
    every = np.concatenate([wanted, drift.surplus])
    gone = np.setdiff1d(every, np.array(sorted(catalog.by_vector_ids(every.tolist())), np.int64))
    held.remove(gone)


def _held(catalog: Catalog, space: EmbeddingSpace, url: str) -> Held:
    return Held(Server(url), space.parts, space.model_id, catalog.epoch)


def _both(catalog: Catalog, held: Held, model_id: str) -> Iterator[tuple[Contents, Contents]]:
    """What catalog and Milvus hold of the same stretch of ids, ascending; the last has no end."""
    after = 0
    while True:
        page = catalog.live_embeddings(model_id, after_vector_id=after, limit=_PAGE)
        ours = Contents(page.vector_ids, page.vectors, page.collections)
        until = int(page.vector_ids[-1]) if len(page.vector_ids) else None
        for start, theirs in _stretch(held, after, until):
            here = ours.ids > start
            if len(theirs.ids) == MOST:  # there is more of it behind
                here &= ours.ids <= theirs.ids[-1]
            names = tuple(name for name, kept in zip(ours.collections, here, strict=True) if kept)
            yield Contents(ours.ids[here], ours.vectors[here], names), theirs
        if until is None:
            return
        after = until


def _stretch(held: Held, after: int, until: int | None) -> Iterator[tuple[int, Contents]]:
    while True:
        theirs = held.rows(after, until)
        yield after, theirs
        if len(theirs.ids) < MOST:
            return
        after = int(theirs.ids[-1])


def _differing(ours: Contents, theirs: Contents) -> Ids:
    common, here, there = np.intersect1d(ours.ids, theirs.ids, return_indices=True)
    if not len(common):
        return np.empty(0, np.int64)
    other = (ours.vectors[here] != theirs.vectors[there]).any(axis=1)
    names = np.array(ours.collections, object)[here] != np.array(theirs.collections, object)[there]
    return np.asarray(common[other | names.astype(np.bool_)], np.int64)


def _live(catalog: Catalog, model_id: str, ids: Ids) -> Iterator[Contents]:
    """The rows that the catalog has of some ids."""
    sources = catalog.by_vector_ids(ids.tolist())
    wanted = [vector_id for vector_id in ids.tolist() if vector_id in sources]
    if wanted:
        vectors = catalog.embeddings(model_id, wanted)
        names = tuple(sources[vector_id].collection for vector_id in wanted)
        yield Contents(np.array(wanted, np.int64), vectors, names)

"""Brings a Milvus to the catalog's present: what it lacks is filled in, then changes are followed.

Must not know settings. A fill that was cut short goes on where it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from attribution.catalog import Catalog
from attribution.index.follower import Follower
from attribution.index.milvus.held import Held, State
from attribution.index.milvus.index import MilvusIndex
from attribution.index.milvus.reading import MilvusReader
from attribution.index.milvus.server import Server
from attribution.index.protocol import EmbeddingSpace, IndexUnavailable
from attribution.index.sizing import Sizing

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the rows filled in so far, and how many there are."""

_PAGE = 1000
_TOLD_SECONDS = 5.0

SIZING = Sizing(flat_below=500_000, recall=0.99)
"""Reading all lists is exact, and Milvus compares the rows where they are."""


def open_milvus(
    catalog: Catalog,
    encoder: EmbeddingSpace,
    url: str,
    *,
    anew: bool = False,
    sizing: Sizing = SIZING,
    progress: Progress | None = None,
    refilling: Callable[[], None] = lambda: None,
) -> MilvusIndex:
    """The encoder's index in a Milvus, at the catalog's last generation.

    Args:
        catalog: whose sources.
        encoder: whose rows.
        url: of a Milvus, or the path of an embedded one; see `Server`.
        anew: fill it from the catalog, whatever it holds.
        sizing: from how many rows on not all are compared.
        progress: told of rows filled in; the log where None.
        refilling: called before the collection is dropped, before it is made, and before rows are
            filled in, a page at a time, while nobody is to search them; may refuse by an
            IndexUnavailable.

    Raises:
        IndexUnavailable: Milvus cannot be reached or used.
    """
    held = Held(Server(url), encoder.parts, encoder.model_id, catalog.epoch)
    state = None if anew else held.state()
    if state is not None and state.generation > (present := catalog.generation()):
        logger.warning(
            "%s is of generation %d, the catalog stands at %d: it is filled anew",
            held.server.place, state.generation, present,
        )  # fmt: skip
        state = None
    if state is None or not state.whole:
        refilling()
    if state is None:
        held.drop()
        refilling()
        held.create()
        state = State(generation=catalog.generation(), last_id=0, whole=False)
        held.record(state)
    if not state.whole:
        told = progress or _log_of(held)
        state = _filled(catalog, held, state, encoder.model_id, told, refilling)
    index = MilvusIndex(catalog, encoder, held, state, sizing)
    Follower(catalog, index, encoder.model_id).catch_up()
    return index


def search_milvus(
    catalog: Catalog,
    encoder: EmbeddingSpace,
    url: str,
    state: State,
    newest: Callable[[], State],
) -> MilvusReader:
    """The encoder's index in a Milvus that another process writes.

    Args:
        catalog: whose sources.
        encoder: whose rows.
        url: of the Milvus.
        state: that is searched first.
        newest: what the other process says of it now.
    """
    held = Held(Server(url), encoder.parts, encoder.model_id, catalog.epoch)
    return MilvusReader(catalog, encoder, held, state, newest)


def _filled(
    catalog: Catalog,
    held: Held,
    state: State,
    model_id: str,
    progress: Progress,
    refilling: Callable[[], None],
) -> State:
    """Put what the catalog holds above `state.last_id`, page by page.

    It ends at the last row that there is at the start, however much is added meanwhile. What
    changes meanwhile may be there or not; changes after `state.generation` set both right.

    Raises:
        IndexUnavailable: fewer rows are there than were put; all are filled in anew the next time.
    """
    encoders = catalog.encoders
    last, done = encoders.last_id(model_id), held.count()
    total = encoders.coverage(model_id).embedded
    while state.last_id < last:
        page = catalog.live_embeddings(model_id, after_vector_id=state.last_id, limit=_PAGE)
        if not len(page.vector_ids):
            break
        refilling()
        held.put(page.vector_ids, page.vectors, page.collections)
        state = replace(state, last_id=int(page.vector_ids[-1]))
        held.record(state)
        done += len(page.vector_ids)
        progress(done, max(total, done))
    refilling()
    wanted = encoders.coverage(model_id, until=state.last_id).embedded
    if (found := held.count()) < wanted:  # another process has dropped some meanwhile
        held.record(replace(state, last_id=0))
        raise IndexUnavailable(
            f"{held.server.place} holds {found} of the {wanted} rows filled in: begin again"
        )
    state = replace(state, whole=True)
    held.record(state)
    return state


def _log_of(held: Held) -> Progress:
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done == total or time.monotonic() - told >= _TOLD_SECONDS:
            told = time.monotonic()
            logger.info("filling %s: %d of %d rows", held.server.place, done, total)

    return tell

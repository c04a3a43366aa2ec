"""Synthetic queries made from the sources held: enough to fit shares without labelling anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PIL import Image

from attribution.attributor import Attributor
from attribution.rehearsal.examples import Known
from attribution.rehearsal.held import HeldSource, choose, distinct, picture_of, with_copies
from attribution.rehearsal.queries import Plan, make_query, plan_queries

FEWEST_SOURCES = 20
QUERIES = 400


class TooFewSources(ValueError):
    """The catalog holds too little to make queries from."""


def rehearsal(
    attributor: Attributor,
    *,
    queries: int = QUERIES,
    seed: int = 0,
    collections: frozenset[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Known]:
    """Plan queries from the previews of sources drawn at random; each is made when it is loaded.

    Args:
        attributor: whose catalog is rehearsed.
        queries: how many.
        seed: the same seed and catalog give the same queries.
        collections: whose sources to make them from; None for all. The whole catalog is searched.
        on_progress: called with (sources looked at, of how many).

    Raises:
        TooFewSources: fewer than `FEWEST_SOURCES` different sources with a readable preview.
    """
    count = max(queries, FEWEST_SOURCES)
    chosen = choose(attributor.catalog, count, seed=seed, collections=collections)
    report = None if on_progress is None else (lambda done: on_progress(done, len(chosen)))
    sources = distinct(with_copies(attributor, chosen, on_progress=report))
    require_sources(len(sources))
    known = []
    for plan in plan_queries(len(sources), queries, seed=seed):
        own = [sources[place] for place in plan.sources]
        truths = tuple(each.copies for each in own)
        known.append(Known(partial(_made, attributor, plan, own), truths, plan.fold))
    return known


def require_sources(readable: int) -> None:
    """Refuse to make queries from too few.

    Raises:
        TooFewSources: fewer than `FEWEST_SOURCES`.
    """
    if readable < FEWEST_SOURCES:
        raise TooFewSources(
            f"shares are fitted on queries made from at least {FEWEST_SOURCES} different sources, "
            f"and {readable} could be read: ingest more, or keep the default shares, which "
            "serve until then"
        )


def _made(attributor: Attributor, plan: Plan, sources: list[HeldSource]) -> Image.Image:
    pictures = [picture_of(attributor.catalog, each.source) for each in sources]
    return make_query(plan, pictures)

"""How many lists of Milvus must be read to find the nearest rows; knows no index and no change."""

from __future__ import annotations

from attribution.catalog import Catalog
from attribution.index.milvus.held import LISTS, Held
from attribution.index.recall import NEAREST, recall, sampled
from attribution.index.sizing import Sizing

_FEWEST = 8  # lists read at least
_ASKED = 2 * NEAREST + 32  # rows that are asked for, where the nearest are wanted


def lists_needed(
    catalog: Catalog, held: Held, model_id: str, sizing: Sizing
) -> tuple[int, float | None]:
    """So many lists that `sizing.recall` is reached in every part, and what is reached.

    Doubled from `_FEWEST`; all of them, which is exact, where nothing less is enough: None then.
    Milvus itself says what is exact, reading every list.
    """
    own, rows = sampled(catalog, model_id)
    slices = {part: rows[:, part.columns] for part in held.parts} if len(own) else {}
    exact = {
        part: held.search(part, queries, NEAREST + 1, lists=LISTS)[0]
        for part, queries in slices.items()
    }
    lists = _FEWEST
    while slices and lists < LISTS:
        reached = min(
            recall(exact[part], held.search(part, queries, _ASKED, lists=lists)[0], own)
            for part, queries in slices.items()
        )
        if reached >= sizing.recall:
            return lists, reached
        lists *= 2
    return LISTS, None

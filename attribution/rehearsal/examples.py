"""Queries with known sources, ranked as a service would rank them, for a share model to be fitted.

Each query is asked twice: once as things are, and once as if its sources were not held, so that
there are as many questions without an answer as with one. Knows the attributor, no generator.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.attributor import Attributor, Ranking
from attribution.calibration.shares.fitting import Examples

NO_SOURCE = 0.5
"""Share of queries, where nobody says otherwise, that come from no source held."""
_BLOCK = 32
logger = logging.getLogger(__name__)
Rows = NDArray[np.float32]


class UnreadablePicture(RuntimeError):
    """The picture of a query or of a source cannot be used."""


class NothingToFit(ValueError):
    """The queries say nothing about the sources held."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A query whose sources are known.

    Attributes:
        load: makes or reads the picture, RGB; raises UnreadablePicture.
        truths: for each source the vector ids that show it, empty where it is not held.
        fold: queries of different folds have no source in common.
    """

    load: Callable[[], Image.Image]
    truths: tuple[frozenset[int], ...]
    fold: int


def examples(
    attributor: Attributor,
    queries: Sequence[Known],
    *,
    no_source: float = NO_SOURCE,
    on_progress: Callable[[int], None] | None = None,
) -> Examples:
    """Rank the queries with and without their sources.

    Args:
        attributor: as it serves, its calibration built.
        queries: what is asked.
        no_source: share of queries, by weight, that come from no source held.
        on_progress: called with the number of queries done.

    Raises:
        ValueError: `no_source` is not between 0 and 1.
        NothingToFit: no query has a source that is held, or there is no null.
    """
    if not 0 < no_source < 1:
        raise ValueError(f"the share of queries without source is between 0 and 1, not {no_source}")
    with_source, without = [], []
    for start in range(0, len(queries), _BLOCK):
        block, rows = _loaded(attributor, queries[start : start + _BLOCK], start, on_progress)
        if block:
            left_out = [frozenset[int]().union(*query.truths) for query in block]
            without.append(_asked(attributor.rank(rows, left_out=left_out), block, held=False))
        answerable = np.array([any(query.truths) for query in block], dtype=bool)
        if answerable.any():
            asked = [query for query in block if any(query.truths)]
            with_source.append(_asked(attributor.rank(rows[answerable]), asked, held=True))
    if not with_source:
        raise NothingToFit("no query has a source that is held: ingest their sources first")
    return _joined(with_source, without, no_source)


def _loaded(
    attributor: Attributor,
    queries: Sequence[Known],
    done: int,
    on_progress: Callable[[int], None] | None,
) -> tuple[list[Known], Rows]:
    """The queries whose picture can be had, and their rows."""
    loaded, pictures = [], []
    for number, query in enumerate(queries, start=done + 1):
        try:
            pictures.append(query.load())
        except UnreadablePicture as error:
            logger.warning("left out: %s", error)
        else:
            loaded.append(query)
        if on_progress is not None:
            on_progress(number)
    return loaded, attributor.encoder.encode(pictures, domain="query")


def _asked(ranking: Ranking, queries: Sequence[Known], *, held: bool) -> Examples:
    if ranking.calibrated.null is None:
        raise NothingToFit(
            "without a null nothing says what chance reaches, and shares cannot be fitted: this "
            "encoder has no background images, or nothing is held"
        )
    n, k = ranking.heights.shape
    credit = np.zeros((n, k + 2))
    for row, query in enumerate(queries):
        if held:
            credit[row] = _credit(ranking, row, query.truths)
        else:
            credit[row, -1] = 1.0
    return Examples(
        np.asarray(ranking.heights, np.float64),
        ranking.p_values,
        credit,
        np.ones(n),
        np.array([query.fold for query in queries], np.int64),
    )


def _credit(ranking: Ranking, row: int, truths: Sequence[frozenset[int]]) -> NDArray[np.float64]:
    """`(k + 2,)`: an equal part for each source, divided among the candidates that show it."""
    credit = np.zeros(ranking.hits.ids.shape[1] + 2)
    for shown in truths:
        places = ranking.showing(row, shown)
        if len(places):
            credit[places] += 1.0 / (len(truths) * len(places))
        else:  # held but not among the candidates, or not held at all
            credit[-2 if shown else -1] += 1.0 / len(truths)
    return credit


def _joined(
    with_source: Sequence[Examples], without: Sequence[Examples], no_source: float
) -> Examples:
    positives, negatives = sum(map(len, with_source)), sum(map(len, without))
    total = positives + negatives
    blocks = [*with_source, *without]
    shares = [(1 - no_source) * total / positives, no_source * total / negatives]
    return Examples(
        np.concatenate([block.statistics for block in blocks]),
        np.concatenate([block.p_values for block in blocks]),
        np.concatenate([block.credit for block in blocks]),
        np.repeat(shares, [positives, negatives]),
        np.concatenate([block.folds for block in blocks]),
    )

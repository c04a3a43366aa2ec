"""The sources held, as pictures to make queries from. Reads the catalog, never writes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from attribution.attributor import Attributor, Ranking
from attribution.calibration.picture_copies import Thumbnail, is_copy, preview_thumbnail
from attribution.catalog import Catalog, CatalogError, Source, SourceFilter
from attribution.evaluation.statistics.folds import leaders
from attribution.rehearsal.examples import UnreadablePicture
from models.background import thumbnail
from models.images.decoding import decode
from models.images.errors import ImageError

logger = logging.getLogger(__name__)
_LOOKED_AT = 16  # nearest sources among which copies of a source are looked for
_PAGE = 1000
_BLOCK = 32
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class HeldSource:
    """A source that queries are made from.

    Attributes:
        source: its record.
        copies: vector ids that show the same picture, its own among them: to find any of them
            is to find the source.
    """

    source: Source
    copies: frozenset[int]


def choose(
    catalog: Catalog, count: int, *, seed: int, collections: frozenset[str] | None = None
) -> list[Source]:
    """At most `count` sources at random, no two with the same bytes, by ascending vector id."""
    where = SourceFilter(collections=collections)
    by_digest: dict[str, Source] = {}
    cursor: str | None = None
    while True:
        page = catalog.sources(where, limit=_PAGE, cursor=cursor)
        for source in page.items:
            by_digest.setdefault(source.sha256, source)
        cursor = page.next_cursor
        if cursor is None:
            break
    every = list(by_digest.values())
    if len(every) <= count:
        return every
    chosen = np.random.default_rng(seed).choice(len(every), count, replace=False)
    return [every[place] for place in sorted(chosen.tolist())]


def picture_of(catalog: Catalog, source: Source) -> Image.Image:
    """The preview of a source, RGB.

    Raises:
        UnreadablePicture: it cannot be had.
    """
    try:
        return decode(catalog.preview(source.source_id)).image
    except (CatalogError, ImageError, OSError) as error:
        raise UnreadablePicture(f"source {source.source_id}: {error}") from error


def with_copies(
    attributor: Attributor,
    sources: Sequence[Source],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> list[HeldSource]:
    """The sources whose preview can be read, each with what shows the same picture.

    Its own preview is put as a query; what is found near it is compared by bytes and by pixels.
    """
    found: list[HeldSource] = []
    seen: dict[int, Thumbnail | None] = {}
    for start in range(0, len(sources), _BLOCK):
        read = [(source, _read(attributor.catalog, source)) for source in sources[start:][:_BLOCK]]
        block = [(source, picture) for source, picture in read if picture is not None]
        if block:
            found += _block_with_copies(attributor, block, seen)
        if on_progress is not None:
            on_progress(min(start + _BLOCK, len(sources)))
    return found


def distinct(sources: Sequence[HeldSource]) -> list[HeldSource]:
    """The first of those that show one picture, which must not be in two folds under two names."""
    first: dict[int | None, HeldSource] = {}
    for leader, source in zip(
        leaders(sorted(each.copies) for each in sources), sources, strict=True
    ):
        first.setdefault(leader, source)
    return list(first.values())


def _read(catalog: Catalog, source: Source) -> Image.Image | None:
    try:
        return picture_of(catalog, source)
    except UnreadablePicture as error:
        logger.warning("left out: %s", error)
        return None


def _block_with_copies(
    attributor: Attributor,
    block: Sequence[tuple[Source, Image.Image]],
    seen: dict[int, Thumbnail | None],
) -> list[HeldSource]:
    rows = attributor.encoder.encode([picture for _, picture in block], domain="query")
    ranking = attributor.rank(rows)
    near = [_near(ranking, row) for row in range(len(block))]
    sources = attributor.catalog.by_vector_ids(sorted(set().union(*near)))
    found = []
    for vector_id in sources.keys() - seen.keys():
        seen[vector_id] = _thumbnail_of(attributor.catalog, sources[vector_id])
    for place, (source, picture) in enumerate(block):
        own = thumbnail(picture)
        others = [sources[each] for each in near[place] if each in sources]
        copies = {other.vector_id for other in others if _same(source, other, own, seen)}
        found.append(HeldSource(source, frozenset(copies | {source.vector_id})))
    return found


def _near(ranking: Ranking, row: int) -> list[int]:
    """The best candidates of a query, and the sources that count as copies of these."""
    ids = ranking.hits.ids[row, :_LOOKED_AT]
    firsts: list[int] = ids[ids >= 0].tolist()
    copies = ranking.copies[row]
    return firsts + [other for first in firsts for other in copies.get(first, _NONE).tolist()]


def _thumbnail_of(catalog: Catalog, source: Source) -> Thumbnail | None:
    try:
        return preview_thumbnail(catalog, source)
    except (CatalogError, OSError):
        return None


def _same(
    source: Source, other: Source, own: Thumbnail, seen: Mapping[int, Thumbnail | None]
) -> bool:
    if other.sha256 == source.sha256:
        return True
    shown = seen[other.vector_id]
    return shown is not None and is_copy(own, shown)

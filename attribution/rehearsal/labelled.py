"""Queries that somebody has labelled: a manifest of images and sources, matched to what is held.

The format is that of `attribution generate`: JSON Lines, a row a query with `query` and
`sources: [{image}]`, paths relative to the manifest; no sources, where it came from none held. A
source that was taken from the catalog says its `source_id` besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from attribution.attributor import Attributor
from attribution.catalog import Catalog, SourceFilter, SourceNotFound
from attribution.evaluation.benchmark.cases import BadBenchmark
from attribution.evaluation.benchmark.manifest import manifest_rows
from attribution.evaluation.statistics.folds import leaders
from attribution.rehearsal.examples import Known, UnreadablePicture
from attribution.rehearsal.held import with_copies
from attribution.rehearsal.queries import FOLDS
from models.images.decoding import decode
from models.images.errors import ImageError

FEWEST_QUERIES = 20
_SOME = 100  # copies of one picture that are looked for; nobody holds more


class TooFewLabels(ValueError):
    """The manifest is too small to fit on."""


def labelled(catalog: Catalog, manifest: Path) -> list[Known]:
    """Read a manifest; sources are found by `source_id`, the bytes of their file, or `uri`.

    Queries that share a source, directly or through others, are of one fold.

    Raises:
        BadBenchmark: the file is missing, or a row makes no sense; names the line.
        TooFewLabels: too few queries, or all of them of one source.
    """
    if not manifest.is_file():
        raise BadBenchmark(f"{manifest}: no such file")
    read = [(_query(row, manifest, place), _truths(catalog, row, manifest, place))
            for place, row in manifest_rows(manifest)]  # fmt: skip
    if len(read) < FEWEST_QUERIES:
        raise TooFewLabels(
            f"{manifest} has {len(read)} queries: give at least {FEWEST_QUERIES}, or let "
            "`attribution calibrate` make its own"
        )
    folds = _folds([truths for _, truths in read])
    return [
        Known(partial(_load, query), truths, fold)
        for (query, truths), fold in zip(read, folds, strict=True)
    ]


def knowing_copies(
    attributor: Attributor,
    queries: Sequence[Known],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Known]:
    """The queries with all that shows the same as a source for that source, and folds by it.

    Args:
        attributor: whose catalog they were matched to.
        queries: of `labelled`.
        on_progress: called with (sources looked at, of how many).

    Raises:
        TooFewLabels: all queries are of one picture.
    """
    shown = frozenset[int]().union(*chain.from_iterable(query.truths for query in queries))
    sources = list(attributor.catalog.by_vector_ids(sorted(shown)).values())
    report = None if on_progress is None else (lambda done: on_progress(done, len(sources)))
    copies = {
        held.source.vector_id: held.copies
        for held in with_copies(attributor, sources, on_progress=report)
    }
    truths = [
        tuple(ids.union(*(copies.get(each, ids) for each in ids)) for ids in query.truths)
        for query in queries
    ]
    return [
        replace(query, truths=own, fold=fold)
        for query, own, fold in zip(queries, truths, _folds(truths), strict=True)
    ]


def _query(row: dict[str, Any], manifest: Path, place: str) -> Path:
    query = row.get("query")
    if not isinstance(query, str):
        raise BadBenchmark(f'{place}: needs "query", a path')
    path = manifest.parent / query
    if not path.is_file():
        raise BadBenchmark(f"{place}: {path} is missing")
    return path


def _truths(
    catalog: Catalog, row: dict[str, Any], manifest: Path, place: str
) -> tuple[frozenset[int], ...]:
    sources = row.get("sources")
    if not isinstance(sources, list):
        raise BadBenchmark(f'{place}: needs "sources", a list, empty for a query without source')
    truths = []
    for source in sources:
        name = source.get("image") if isinstance(source, dict) else None
        if not isinstance(name, str):
            raise BadBenchmark(f'{place}: each of "sources" needs "image", a path or a uri')
        known = _known(catalog, source.get("source_id"))
        truths.append(known or _held(catalog, manifest.parent / name, name))
    return tuple(truths)


def _known(catalog: Catalog, source_id: Any) -> frozenset[int]:
    """Vector ids of all sources with the bytes of this one; none where it is not held."""
    if not isinstance(source_id, str):
        return frozenset()
    try:
        digest = catalog.source(source_id).sha256
    except SourceNotFound:
        return frozenset()
    found = catalog.sources(SourceFilter(sha256=digest), limit=_SOME).items
    return frozenset(source.vector_id for source in found)


def _held(catalog: Catalog, path: Path, uri: str) -> frozenset[int]:
    """Vector ids of the sources with these bytes, or of this uri; none where it is not held."""
    filters = [SourceFilter(uri=uri)]
    if path.is_file():
        filters.insert(0, SourceFilter(sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    for where in filters:
        found = catalog.sources(where, limit=_SOME).items
        if found:
            return frozenset(source.vector_id for source in found)
    return frozenset()


def _folds(truths: Sequence[tuple[frozenset[int], ...]]) -> list[int]:
    """A fold for each query: groups of connected queries, the largest first, to the emptier one."""
    led = leaders([sorted(frozenset[int]().union(*each)) for each in truths])
    groups: dict[object, list[int]] = {}
    for number, leader in enumerate(led):
        groups.setdefault(("alone", number) if leader is None else leader, []).append(number)
    if len([group for group in groups if not isinstance(group, tuple)]) < FOLDS:
        raise TooFewLabels(
            "the labelled queries share all their sources, or none of them is held: a fit can "
            "only be judged on other sources than it was made on; add queries, or ingest sources"
        )
    sizes, folds = [0] * FOLDS, [0] * len(truths)
    for members in sorted(groups.values(), key=len, reverse=True):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(members)
        for number in members:
            folds[number] = fold
    return folds


def _load(path: Path) -> Image.Image:
    try:
        return decode(path.read_bytes()).image
    except (ImageError, OSError) as error:
        raise UnreadablePicture(f"{path}: {error}") from error

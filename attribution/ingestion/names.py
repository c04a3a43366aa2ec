"""Sources whose file has changed or gone: what a run finds of the names that sources have.

A name is collection and uri. Memory holds eight bytes for each name and each image that a run has
seen, and the sources that other images have taken the names of.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.catalog import Catalog, Source, SourceFilter, SourceNotFound
from attribution.ingestion.manifest import ManifestProblem, ManifestRow, as_text

_CARRIED = ("title", "creator", "licence", "metadata")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Replaced:
    """A source whose name another image has now: `path` holds that one."""

    path: Path
    uri: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A source whose name no row has."""

    uri: str
    source_id: str


def namesakes(catalog: Catalog, row: ManifestRow, digest: str) -> tuple[Source, ...]:
    """Sources that have the row's name and other bytes than its file."""
    if not row.uri:
        return ()
    where = SourceFilter(collections=frozenset({row.collection}), uri=row.uri)
    return tuple(found for found in catalog.sources(where).items if found.sha256 != digest)


class Replacements:
    """Collects the namesakes of a run; which of them were replaced is known at its end."""

    def __init__(self) -> None:
        self._seen = array("Q")
        self._found: dict[str, tuple[Source, ManifestRow, str]] = {}

    def note(self, row: ManifestRow, digest: str, others: Iterable[Source]) -> None:
        """A row's file has these bytes, and these sources have its name."""
        self._seen.append(_number(row.collection, row.uri, digest))
        for source in others:
            self._found[source.source_id] = (source, row, digest)

    def replaced(self) -> tuple[Replaced, ...]:
        """Those whose own bytes no row has brought: several images may share a uri."""
        seen = np.frombuffer(self._seen, np.uint64)
        return tuple(
            Replaced(row.path, row.uri, source.source_id)
            for source, row, _ in self._found.values()
            if np.uint64(_number(source.collection, row.uri, source.sha256)) not in seen
        )

    def take_out(self, catalog: Catalog, replaced: Iterable[Replaced]) -> None:
        """Delete them; what only they say of the image goes to the one that replaces it."""
        for each in replaced:
            old, row, digest = self._found[each.source_id]
            new = catalog.known_digests(row.collection, [digest]).get(digest)
            if new is None:  # deleted meanwhile: then the old one is all that is left
                continue
            kept = {
                field: getattr(old, field)
                for field in _CARRIED
                if getattr(old, field) and not getattr(new, field)
            }
            try:
                if kept:
                    catalog.update(new.source_id, kept)
            except SourceNotFound:
                continue
            catalog.delete(source_ids=[old.source_id])


class Names:
    """The names that a run has seen, to tell which sources have another.

    Args:
        within: the folder whose files are rows; of other sources nothing is told. None for a
            manifest, which is to name every source of its collections.
    """

    def __init__(self, within: Path | None, collection: str) -> None:
        self._seen = array("Q")
        self._collections = {collection}
        self._start = "" if within is None else as_text(within / "_").removesuffix("_")

    def noting(
        self, rows: Iterable[ManifestRow | ManifestProblem]
    ) -> Iterator[ManifestRow | ManifestProblem]:
        """The same rows; the names of those whose file is there are noted as they go by."""
        for row in rows:
            if isinstance(row, ManifestRow) and row.path.exists():
                self._seen.append(_number(row.collection, row.uri))
                self._collections.add(row.collection)
            yield row

    def missing(self, catalog: Catalog) -> tuple[Missing, ...]:
        """The sources whose name was not among them, in order of addition."""
        seen = np.unique(np.frombuffer(self._seen, np.uint64))
        return tuple(
            Missing(source.uri, source.source_id)
            for source in _every(catalog, frozenset(self._collections))
            if source.uri is not None
            and source.uri.startswith(self._start)
            and not _holds(seen, _number(source.collection, source.uri))
        )


def _every(catalog: Catalog, collections: frozenset[str]) -> Iterator[Source]:
    cursor = None
    while True:
        page = catalog.sources(SourceFilter(collections=collections), limit=_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _holds(ordered: np.ndarray[tuple[int], np.dtype[np.uint64]], number: int) -> bool:
    place = int(np.searchsorted(ordered, np.uint64(number)))
    return place < len(ordered) and int(ordered[place]) == number


def _number(*texts: str) -> int:
    """Eight bytes that stand for texts; two in a million rows are alike once in 10 million runs."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest())

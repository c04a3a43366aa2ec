"""Sources whose file has changed or gone: what a run finds of the names that sources have.

A name is collection and uri. Memory holds eight bytes for each name and each image that a run has
seen, the sources that other images have taken the names of, and those that have another name than
the row that brings their image.
"""

from __future__ import annotations

import hashlib
import stat
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.catalog import Catalog, Source, SourceFilter, SourceNotFound
from attribution.ingestion.rows import ManifestProblem, ManifestRow, as_text

_CARRIED = ("title", "creator", "licence", "metadata")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Replaced:
    """A source whose name another image has now; `path` holds that one, or, renamed, its own."""

    path: Path
    uri: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A source whose name no row has; `now` holds its image, where a row has brought it."""

    uri: str
    source_id: str
    now: Path | None = None


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
        self._elsewhere: dict[str, ManifestRow] = {}

    def note(
        self, row: ManifestRow, digest: str, others: Iterable[Source], held: Source | None
    ) -> None:
        """A row's file has these bytes, others have its name, and one may be held for the bytes."""
        self._seen.append(number_of(row.collection, row.uri, digest))
        for source in others:
            self._found[source.source_id] = (source, row, digest)
        if held is not None and held.uri != row.uri:
            self._elsewhere.setdefault(held.source_id, row)

    def replaced(self) -> tuple[Replaced, ...]:
        """Those whose own bytes no row has brought: several images may share a uri."""
        return tuple(
            Replaced(row.path, row.uri, source.source_id)
            for source, row in self._nameless()
            if source.source_id not in self._elsewhere
        )

    def renamed(self) -> tuple[Replaced, ...]:
        """Those whose bytes a row has brought under another name, and none under theirs."""
        return tuple(
            Replaced(row.path, row.uri, source.source_id)
            for source, _ in self._nameless()
            if (row := self._elsewhere.get(source.source_id)) is not None
        )

    def elsewhere(self) -> dict[str, Path]:
        """Where the images are that their sources have another name of, by source id."""
        return {source_id: row.path for source_id, row in self._elsewhere.items()}

    def take_out(self, catalog: Catalog, replaced: Iterable[Replaced]) -> tuple[Replaced, ...]:
        """Delete them; what only they say of the image goes to the one that replaces it.

        Returns:
            Those that are gone: one whose successor was deleted meanwhile is all that is left.
        """
        return tuple(each for each in replaced if self._take_out(catalog, each.source_id))

    def rename(self, catalog: Catalog, renamed: Iterable[Replaced]) -> None:
        """Give them the names that their images have now."""
        for each in renamed:
            with suppress(SourceNotFound):  # deleted meanwhile
                catalog.update(each.source_id, {"uri": each.uri})

    def _take_out(self, catalog: Catalog, source_id: str) -> bool:
        old, row, digest = self._found[source_id]
        new = catalog.known_digests(row.collection, [digest]).get(digest)
        if new is None:
            return False
        kept = {
            field: getattr(old, field)
            for field in _CARRIED
            if getattr(old, field) and not getattr(new, field)
        }
        try:
            if kept:
                catalog.update(new.source_id, kept)
        except SourceNotFound:
            return False
        catalog.delete(source_ids=[source_id])
        return True

    def _nameless(self) -> list[tuple[Source, ManifestRow]]:
        """Sources without a row of their name and bytes, and the row that has the name."""
        seen = np.unique(np.frombuffer(self._seen, np.uint64))
        return [
            (source, row)
            for source, row, _ in self._found.values()
            if not holds(seen, number_of(source.collection, row.uri, source.sha256))
        ]


class Names:
    """The names that a run has seen, to tell which sources have another.

    Args:
        within: the folder whose files are rows; of other sources nothing is told. None for a
            manifest, which is to name every source of its collections.
    """

    def __init__(self, within: Path | None, collection: str) -> None:
        self._seen = array("Q")
        self._collections = {collection}
        self._within = within

    def noting(
        self, rows: Iterable[ManifestRow | ManifestProblem]
    ) -> Iterator[ManifestRow | ManifestProblem]:
        """The same rows; the names of those whose file is not gone are noted as they go by."""
        for row in rows:
            if isinstance(row, ManifestRow) and not _is_gone(row.path):
                self._seen.append(number_of(row.collection, row.uri))
                self._collections.add(row.collection)
            yield row

    def missing(
        self, catalog: Catalog, elsewhere: Mapping[str, Path] | None = None
    ) -> tuple[Missing, ...]:
        """The sources whose name was not among them, in order of addition.

        Of a folder those alone whose file is gone: one that a run was not shown, such as all in a
        folder that may not be read, is not.

        Args:
            catalog: where the sources are.
            elsewhere: where images are that their sources have another name of.
        """
        seen = np.unique(np.frombuffer(self._seen, np.uint64))
        return tuple(
            Missing(source.uri, source.source_id, (elsewhere or {}).get(source.source_id))
            for source in _every(catalog, frozenset(self._collections))
            if source.uri is not None
            and not holds(seen, number_of(source.collection, source.uri))
            and (self._within is None or _was_in(self._within, source.uri))
        )


def _was_in(folder: Path, uri: str) -> bool:
    """Whether a uri was a file of this folder, as it was written, that is gone."""
    path, start = Path(uri), as_text(folder / "_").removesuffix("_")
    return (
        uri.startswith(start)
        and str(path) == uri  # a path, as we write them, and no address
        and path.is_absolute() == folder.is_absolute()
        and _is_gone(path)
    )


def _is_gone(path: Path) -> bool:
    """Whether there is no file of this name; one out of reach may be there."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False


def _every(catalog: Catalog, collections: frozenset[str]) -> Iterator[Source]:
    cursor = None
    while True:
        page = catalog.sources(SourceFilter(collections=collections), limit=_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def holds(ordered: np.ndarray[tuple[int], np.dtype[np.uint64]], number: int) -> bool:
    """Whether a number of `number_of` is among ascending ones."""
    place = int(np.searchsorted(ordered, np.uint64(number)))
    return place < len(ordered) and int(ordered[place]) == number


def number_of(*texts: str) -> int:
    """Eight bytes that stand for texts; two in a million rows are alike once in 10 million runs."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest())

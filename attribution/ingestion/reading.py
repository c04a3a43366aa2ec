"""One row of a manifest to an image ready for encoding; safe to run on several threads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from attribution.catalog import Catalog, EmbeddingsMissing, InvalidField, Source, validation
from attribution.files import regular_file
from attribution.ingestion.addresses import opened
from attribution.ingestion.embedded import NOTHING_SAID, Embedded
from attribution.ingestion.names import namesakes
from attribution.ingestion.rows import ManifestProblem, ManifestRow
from models.images.decoding import DecodedImage, decode
from models.images.errors import DecodingLimits, ImageError
from models.images.previews import make_preview

TAKEN_DOWN = "was taken down, and may not be added again (attribution takedown --list)"
UNUSABLE = (ImageError, InvalidField, OSError)
"""What is wrong with a row or its file, and ends no run; see `refused`."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was not ingested; of a bad line `path` is the manifest."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """A row whose image its collection holds, with a vector of this encoder."""

    row: ManifestRow
    source: Source
    namesakes: tuple[Source, ...] = ()
    embedded: Embedded = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Fresh:
    """A row whose image is to be encoded; `held` is its source that has no vector yet."""

    row: ManifestRow
    decoded: DecodedImage
    preview: bytes
    namesakes: tuple[Source, ...] = ()
    held: Source | None = None
    embedded: Embedded = NOTHING_SAID

    @property
    def sha256(self) -> str:
        """Of the file."""
        return self.decoded.sha256


def content_of(
    row: ManifestRow, limits: DecodingLimits, folder: Path | None = None
) -> tuple[bytes, str]:
    """A row's file and its sha256; of a file that is too large only its beginning.

    Args:
        row: what to read.
        limits: of the file.
        folder: where a path starts that is not absolute; None for the working folder.

    Raises:
        InvalidField: the row states what no source can have.
        OSError: the file cannot be read.
    """
    _refuse_unstorable(row)
    if row.content is not None:
        data = row.content
    elif row.address:
        with opened(row.address) as remote:
            data = remote.read(limits.max_bytes + 1)
    else:
        path = row.path if folder is None else folder / row.path
        with regular_file(path).open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    return data, hashlib.sha256(data).hexdigest()


def pictured(
    row: ManifestRow, data: bytes, limits: DecodingLimits, embedded: Embedded = NOTHING_SAID
) -> Fresh:
    """The picture in a row's file; raises ImageError where there is none."""
    decoded = decode(data, limits=limits)
    return Fresh(row, decoded, make_preview(decoded.image), embedded=embedded)


def refused(row: ManifestRow, error: Exception) -> Skipped:
    """What is said of a row that is `UNUSABLE`."""
    if isinstance(error, OSError):
        return Skipped(row.path, f"cannot be read ({error.strerror or error})")
    return Skipped(row.path, str(error))


class RowReader:
    """What happens to a row off the main thread: all but encoding and writing.

    Args:
        catalog: what is held.
        model_id: of the encoder.
        limits: of each file.
        embedded: reads what a file says of itself; None where that is not asked.
    """

    def __init__(
        self,
        catalog: Catalog,
        model_id: str,
        limits: DecodingLimits,
        embedded: Callable[[bytes], Embedded] | None = None,
    ) -> None:
        self._catalog = catalog
        self._model_id = model_id
        self._limits = limits
        self._embedded = embedded

    def read(self, row: ManifestRow | ManifestProblem) -> Known | Fresh | Skipped:
        """Read and decode the row's file, or say that it is held already or why it cannot be."""
        if isinstance(row, ManifestProblem):
            return Skipped(row.path, row.told)
        try:
            data, digest = content_of(row, self._limits)
            if self._catalog.takedowns.among([digest]):
                return Skipped(row.path, TAKEN_DOWN)
            held = self._catalog.known_digests(row.collection, [digest]).get(digest)
            others = namesakes(self._catalog, row, digest)
            if held is not None and self._has_vector(held):
                return Known(row, held, others, self._said_in(data))
            fresh = pictured(row, data, self._limits, self._said_in(data))
        except UNUSABLE as error:
            return refused(row, error)
        return replace(fresh, namesakes=others, held=held)

    def _said_in(self, data: bytes) -> Embedded:
        return NOTHING_SAID if self._embedded is None else self._embedded(data)

    def _has_vector(self, source: Source) -> bool:
        try:
            self._catalog.embeddings(self._model_id, [source.vector_id])
        except EmbeddingsMissing:
            return False
        return True


def _refuse_unstorable(row: ManifestRow) -> None:
    """Raise `InvalidField` for this row alone, which the catalog would for its whole batch."""
    validation.collection_name(row.collection)
    for field, value in (row.stated | {"uri": row.uri}).items():
        validation.changeable(field, value)

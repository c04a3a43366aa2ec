"""One row of a manifest to an image ready for encoding; safe to run on several threads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attribution.catalog import Catalog, EmbeddingsMissing, InvalidField, Source, validation
from attribution.files import regular_file
from attribution.ingestion.embedded import NOTHING_SAID, Embedded
from attribution.ingestion.names import namesakes
from attribution.ingestion.rows import ManifestProblem, ManifestRow
from models.images.decoding import DecodedImage, decode
from models.images.errors import DecodingLimits, ImageError
from models.images.previews import make_preview

TAKEN_DOWN = "was taken down, and may not be added again (attribution takedown --list)"


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
            _refuse_unstorable(row)
            data = self._bytes(row.path) if row.content is None else row.content
            digest = hashlib.sha256(data).hexdigest()
            if self._catalog.takedowns.among([digest]):
                return Skipped(row.path, TAKEN_DOWN)
            held = self._catalog.known_digests(row.collection, [digest]).get(digest)
            others = namesakes(self._catalog, row, digest)
            if held is not None and self._has_vector(held):
                return Known(row, held, others, self._said_in(data))
            decoded = decode(data, limits=self._limits)
        except (ImageError, InvalidField) as error:
            return Skipped(row.path, str(error))
        except OSError as error:
            return Skipped(row.path, f"cannot be read ({error.strerror})")
        return Fresh(row, decoded, make_preview(decoded.image), others, held, self._said_in(data))

    def _said_in(self, data: bytes) -> Embedded:
        return NOTHING_SAID if self._embedded is None else self._embedded(data)

    def _bytes(self, path: Path) -> bytes:
        with regular_file(path).open("rb") as file:
            return file.read(self._limits.max_bytes + 1)

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

"""What a worker does with a batch: reads, decodes and encodes it; has no catalog and keeps nothing.

By the functions that `ingest` uses on one machine. Knows nothing of who runs the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from attribution.catalog import NewSource, RegisteredEncoder, Source
from attribution.ingestion.bulk.held import Held
from attribution.ingestion.companions import Companions, ImageEncoder
from attribution.ingestion.embedded import NOTHING_SAID, Embedded
from attribution.ingestion.encoding import sources_of
from attribution.ingestion.reading import (
    UNUSABLE,
    Fresh,
    Skipped,
    content_of,
    pictured,
    refused,
)
from attribution.ingestion.rows import ManifestProblem, ManifestRow
from models.images.decoding import DEFAULT_LIMITS
from models.images.errors import DecodingLimits


class OtherEncoder(ValueError):
    """A worker has other weights than the process that writes the catalog."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What every worker is told once; goes to other machines, so it holds no secret.

    Attributes:
        load: makes the encoder.
        model_id: of the encoder, which the worker's has to be.
        registered: further encoders of the catalog; those that cannot be loaded are left out.
        load_registered: makes one of them.
        limits: of each file.
        embedded: reads what a file says of itself; None for nothing.
        folder: where paths start that are not absolute.
        threads: that read and decode in a worker.
        threads_that_compute: of the encoder in a worker.
        device: that it runs on.
    """

    load: Callable[[], ImageEncoder]
    model_id: str
    load_registered: Callable[[RegisteredEncoder], ImageEncoder]
    folder: Path
    registered: tuple[RegisteredEncoder, ...] = ()
    limits: DecodingLimits = DEFAULT_LIMITS
    embedded: Callable[[bytes], Embedded] | None = None
    threads: int = 1
    threads_that_compute: int = 1
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Seen:
    """A row whose image was held when the run began."""

    row: ManifestRow
    sha256: str
    embedded: Embedded = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Ready:
    """A row whose image is encoded; the last two are for who has the catalog to fill in."""

    row: ManifestRow
    source: NewSource
    embedded: Embedded = NOTHING_SAID
    namesakes: tuple[Source, ...] = ()
    held: Source | None = None

    @property
    def sha256(self) -> str:
        """Of the file."""
        return self.source.sha256


Result = Skipped | Seen | Ready


class Worker:
    """Loads the encoder once, and then does batch after batch.

    Args:
        orders: what to do.
        held: what need not be decoded.

    Raises:
        OtherEncoder: its encoder is another.
    """

    def __init__(self, orders: Orders, held: Held) -> None:
        self._orders, self._held = orders, held
        self._encoder = orders.load()
        if self._encoder.model_id != orders.model_id:
            raise OtherEncoder(
                f"the encoder of a worker is {self._encoder.model_id}, not {orders.model_id}: "
                "install the same version and the same weights on every machine"
            )
        self._companions = Companions(
            lambda: orders.registered, orders.model_id, orders.load_registered
        )

    def __call__(self, rows: Sequence[ManifestRow | ManifestProblem]) -> list[Result]:
        """What came of each row, in their order; without the bytes of its file."""
        if self._orders.threads > 1:
            with ThreadPoolExecutor(self._orders.threads) as pool:
                read = list(pool.map(self._read, rows))
        else:
            read = [self._read(row) for row in rows]
        fresh = [each for each in read if isinstance(each, Fresh)]
        sources = iter(sources_of(self._encoder, self._companions, fresh) if fresh else ())
        return [
            Ready(_light(each.row), next(sources), each.embedded)
            if isinstance(each, Fresh)
            else each
            for each in read
        ]

    def _read(self, row: ManifestRow | ManifestProblem) -> Fresh | Seen | Skipped:
        if isinstance(row, ManifestProblem):
            return Skipped(row.path, row.told)
        orders = self._orders
        try:
            data, digest = content_of(row, orders.limits, orders.folder)
            said = NOTHING_SAID if orders.embedded is None else orders.embedded(data)
            if self._held.has(row.collection, digest):
                return Seen(_light(row), digest, said)
            return pictured(row, data, orders.limits, said)
        except UNUSABLE as error:
            return refused(row, error)


def _light(row: ManifestRow) -> ManifestRow:
    return replace(row, content=None)

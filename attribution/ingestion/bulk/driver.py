"""The process that has the catalog: hands rows to workers, and alone writes what they bring.

Memory holds the rows of one round, without their files, and what workers are ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from attribution.catalog import Catalog
from attribution.ingestion.bulk.held import Held
from attribution.ingestion.bulk.worker import Orders, Ready, Result
from attribution.ingestion.names import namesakes
from attribution.ingestion.reading import TAKEN_DOWN, Known, Skipped
from attribution.ingestion.rows import ManifestProblem, ManifestRow
from attribution.ingestion.run import IngestReport, Progress, Run
from attribution.ingestion.shards import Shard

BATCHES_AT_ONCE = 2000
"""Batches or tar files a round: workers start anew with each, which takes seconds."""

Batch = tuple[ManifestRow | ManifestProblem, ...]
Workers = Callable[[Orders, Held, Sequence[Batch | Shard]], Iterator[list[Result]]]
"""Has workers do batches, and those of tar files; gives what came of each row, in their order."""


def ingest_on_workers(
    catalog: Catalog,
    orders: Orders,
    rows: Iterable[ManifestRow | ManifestProblem | Shard],
    workers: Workers,
    *,
    batch_size: int = 64,
    batches_at_once: int = BATCHES_AT_ONCE,
    on_progress: Callable[[Progress], None] | None = None,
    update: bool = False,
) -> IngestReport:
    """As `ingest`, with the reading and encoding done elsewhere; what is written is the same.

    Whatever ends it, each committed batch is kept, and the next run encodes only what is not held.

    Args:
        catalog: where sources go.
        orders: what workers are told.
        rows: what to ingest; tar files are opened by workers.
        workers: has them do it, such as `ray_workers`.
        batch_size: images an encoder call and a commit.
        batches_at_once: batches and tar files that are handed over together.
        on_progress: what it counts as added is committed.
        update: see `ingest`.

    Raises:
        ValueError: `batch_size` or `batches_at_once` is below 1.
        ActiveEncoderLeftOut: another encoder was activated meanwhile; run it again.
        CatalogError: the catalog cannot be written.
    """
    if batch_size < 1 or batches_at_once < 1:
        raise ValueError("batch_size and batches_at_once must be at least 1.")
    run = Run[Ready](
        catalog,
        orders.model_id,
        lambda batch: [ready.source for ready in batch],
        batch_size,
        None,
        on_progress,
    )
    work = _batches(rows, batch_size)
    while together := list(islice(work, batches_at_once)):
        for results in workers(orders, Held.of(catalog, orders.model_id), together):
            for result in results:
                run.take(_completed(catalog, result))
    run.commit()
    return run.report(update=update)


def _batches(
    rows: Iterable[ManifestRow | ManifestProblem | Shard], size: int
) -> Iterator[Batch | Shard]:
    batch: list[ManifestRow | ManifestProblem] = []
    for row in rows:
        if not isinstance(row, Shard):
            batch.append(row)
        if batch and (len(batch) == size or isinstance(row, Shard)):
            yield tuple(batch)
            batch = []
        if isinstance(row, Shard):
            yield row
    if batch:
        yield tuple(batch)


def _completed(catalog: Catalog, result: Result) -> Known | Ready | Skipped:
    """A result with what only the catalog can say of it."""
    if isinstance(result, Skipped):
        return result
    row, digest = result.row, result.sha256
    if catalog.takedowns.among([digest]):
        return Skipped(row.path, TAKEN_DOWN)
    held = catalog.known_digests(row.collection, [digest]).get(digest)
    others = namesakes(catalog, row, digest)
    if isinstance(result, Ready):
        return replace(result, namesakes=others, held=held)
    if held is not None:
        return Known(row, held, others, result.embedded)
    return Skipped(row.path, "was deleted meanwhile: ingest it again")

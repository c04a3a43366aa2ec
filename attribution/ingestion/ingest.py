"""Files into a catalog: read, decode, encode in batches, commit each batch.

Whatever ends it (Ctrl-C, a crash, a power cut), each committed batch is kept, and running it again
goes on from there: files the catalog knows are recognised by their bytes and not encoded again.
Knows no HTTP and no command line; memory holds two batches, however many rows there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from attribution.catalog import Catalog, RegisteredEncoder
from attribution.ingestion.companions import Companions, ImageEncoder, registered_in
from attribution.ingestion.embedded import Embedded
from attribution.ingestion.encoding import sources_of
from attribution.ingestion.reading import Fresh, RowReader
from attribution.ingestion.rows import ManifestProblem, ManifestRow
from attribution.ingestion.run import IngestReport, Progress, Run
from models.images.decoding import DEFAULT_LIMITS
from models.images.errors import DecodingLimits

_Row = TypeVar("_Row")
_Outcome = TypeVar("_Outcome")


def ingest(
    catalog: Catalog,
    encoder: ImageEncoder,
    rows: Iterable[ManifestRow | ManifestProblem],
    *,
    batch_size: int = 64,
    limits: DecodingLimits = DEFAULT_LIMITS,
    on_progress: Callable[[Progress], None] | None = None,
    workers: int = 4,
    load: Callable[[RegisteredEncoder], ImageEncoder] | None = None,
    update: bool = False,
    embedded: Callable[[bytes], Embedded] | None = None,
) -> IngestReport:
    """Add the images of `rows` to the catalog; may be repeated, and continues where it ended.

    An image its collection already holds is not encoded again, but its metadata follows the row
    where that states something else. Of rows with the same image the last one's statements hold.
    Missing collections are created. Files that cannot be read become `Skipped` in the report.

    Args:
        catalog: where sources go; other processes may use it meanwhile.
        encoder: gives the vectors, called from this thread only.
        rows: for example from `read_manifest`; consumed as it goes.
        batch_size: images an encoder call and a commit.
        limits: of each file.
        on_progress: called from this thread; what it counts as added is committed.
        workers: threads that read and decode while a batch is encoded.
        load: loads the further encoders that the catalog registers, under which sources are
            embedded too; None leaves them out.
        update: take out sources whose name (collection and uri) another image has now, and
            rename those whose own image the rows name otherwise.
        embedded: reads what a file says of itself, such as `read_embedded`; what the rows state
            and what a source has already comes first. None reads nothing.

    Raises:
        ValueError: `batch_size` or `workers` is below 1, or the encoder's vectors are unusable.
        ActiveEncoderLeftOut: the catalog's active encoder is neither `encoder` nor to be loaded.
        CatalogError: the catalog cannot be written.
    """
    if batch_size < 1 or workers < 1:
        raise ValueError("batch_size and workers must be at least 1.")
    total = len(rows) if isinstance(rows, Sized) else None
    companions = None
    if load is not None:
        companions = Companions(lambda: registered_in(catalog), encoder.model_id, load)
    run = Run[Fresh](
        catalog,
        encoder.model_id,
        lambda batch: sources_of(encoder, companions, batch),
        batch_size,
        total,
        on_progress,
    )
    reader = RowReader(catalog, encoder.model_id, limits, embedded)
    ahead = batch_size + workers
    with closing(_in_order(reader.read, rows, workers=workers, ahead=ahead)) as outcomes:
        for outcome in outcomes:
            run.take(outcome)
    run.commit()
    return run.report(update=update)


def _in_order(
    work: Callable[[_Row], _Outcome], rows: Iterable[_Row], *, workers: int, ahead: int
) -> Generator[_Outcome, None, None]:
    """Outcomes of `work` in the order of `rows`, at most `ahead` of them begun and not taken."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ingest")
    begun: deque[Future[_Outcome]] = deque()
    try:
        for row in rows:
            begun.append(pool.submit(work, row))
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

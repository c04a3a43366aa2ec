"""Files into a catalog: read, decode, encode in batches, commit each batch.

Whatever ends it (Ctrl-C, a crash, a power cut), each committed batch is kept, and running it again
goes on from there: files the catalog knows are recognised by their bytes and not encoded again.
Knows no HTTP and no command line; memory holds two batches, however many rows there are.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from attribution.catalog import (
    ActiveEncoderLeftOut,
    Added,
    Catalog,
    CollectionNotFound,
    RegisteredEncoder,
    Source,
    SourceNotFound,
    SourceTakenDown,
)
from attribution.ingestion.adding import Intake, add_each, new_source
from attribution.ingestion.companions import Companions, ImageEncoder, rows_of
from attribution.ingestion.embedded import Embedded, filled
from attribution.ingestion.names import Replaced, Replacements
from attribution.ingestion.reading import TAKEN_DOWN, Fresh, Known, RowReader, Skipped
from attribution.ingestion.rows import ManifestProblem, ManifestRow
from models.images.decoding import DEFAULT_LIMITS
from models.images.errors import DecodingLimits

_Row = TypeVar("_Row")
_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is, in rows. `total` is None where the number of rows is not known beforehand.

    `unchanged` are the rows whose image was there already, those with new metadata included.
    """

    done: int
    total: int | None
    added: int
    unchanged: int
    skipped: int


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Every row is in one of the four; an index at `generation` has seen all of them.

    `replaced` are sources whose name another image has now, taken out where that was asked for;
    `renamed` are those whose own image has another name now, which they get where that was asked
    for. `elsewhere` are the paths of images that a source names otherwise, by its id. `embedded`
    counts the rows whose file says something of itself.
    """

    added: int
    unchanged: int
    updated: int
    skipped: tuple[Skipped, ...]
    generation: int
    replaced: tuple[Replaced, ...] = ()
    renamed: tuple[Replaced, ...] = ()
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    embedded: int = 0


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
    companions = None if load is None else Companions(catalog, encoder.model_id, load)
    run = _Run(catalog, encoder, companions, batch_size, total, on_progress)
    reader = RowReader(catalog, encoder.model_id, limits, embedded)
    ahead = batch_size + workers
    with closing(_in_order(reader.read, rows, workers=workers, ahead=ahead)) as outcomes:
        for outcome in outcomes:
            run.take(outcome)
    run.commit()
    return run.report(update=update)


class _Run:
    """What happens to rows on the main thread, in their order, and the count of it."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: ImageEncoder,
        companions: Companions | None,
        batch_size: int,
        total: int | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._catalog = catalog
        self._encoder = encoder
        self._companions = companions
        self._batch_size = batch_size
        self._total = total
        self._on_progress = on_progress
        self._batch: list[Fresh] = []
        self._added = self._unchanged = self._updated = self._embedded = 0
        self._skipped: list[Skipped] = []
        self._replacements = Replacements()

    def take(self, outcome: Known | Fresh | Skipped) -> None:
        if not isinstance(outcome, Skipped) and outcome.embedded:
            self._embedded += 1
        match outcome:
            case Fresh():
                digest, held = outcome.decoded.sha256, outcome.held
                self._replacements.note(outcome.row, digest, outcome.namesakes, held)
                self._batch.append(outcome)
                if len(self._batch) == self._batch_size:
                    self.commit()
                return
            case Known():
                held = outcome.source
                self._replacements.note(outcome.row, held.sha256, outcome.namesakes, held)
                self._follow(outcome, held.source_id)
            case Skipped():
                self._skipped.append(outcome)
        self._tell()

    def commit(self) -> None:
        """Encode and add what has been taken; an interruption before the end loses only this."""
        if not self._batch:
            return
        try:
            intake = self._add()
        except ActiveEncoderLeftOut:  # activated since this batch was encoded
            intake = self._add()
        for fresh, outcome in zip(self._batch, intake.outcomes, strict=True):
            match outcome:
                case Added(created=True):
                    self._added += 1
                case Added():  # the same image came twice, or another process was faster
                    self._follow(fresh, outcome.source.source_id)
                case SourceTakenDown():  # since the reader asked
                    self._skipped.append(Skipped(fresh.row.path, TAKEN_DOWN))
                case _:
                    raise outcome
        self._batch.clear()
        self._tell()

    def report(self, *, update: bool) -> IngestReport:
        replaced, renamed = self._replacements.replaced(), self._replacements.renamed()
        if update:
            replaced = self._replacements.take_out(self._catalog, replaced)
            self._replacements.rename(self._catalog, renamed)
        return IngestReport(
            added=self._added,
            unchanged=self._unchanged,
            updated=self._updated,
            skipped=tuple(self._skipped),
            generation=self._catalog.generation(),
            replaced=replaced,
            renamed=renamed,
            elsewhere=self._replacements.elsewhere(),
            embedded=self._embedded,
        )

    def _add(self) -> Intake:
        images = [fresh.decoded.image for fresh in self._batch]
        rows = rows_of(self._encoder, images)
        others = [{} for _ in images] if self._companions is None else self._companions.rows(images)
        sources = [
            new_source(
                fresh.decoded,
                {**filled(fresh.row.stated, fresh.embedded), "uri": fresh.row.uri or None},
                collection=fresh.row.collection,
                preview=fresh.preview,
                embedding=row,
                others=further,
            )
            for fresh, row, further in zip(self._batch, rows, others, strict=True)
        ]
        try:
            return add_each(self._catalog, self._encoder.model_id, sources)
        except CollectionNotFound:
            there = {collection.name for collection in self._catalog.collections()}
            for name in sorted({source.collection for source in sources} - there):
                self._catalog.put_collection(name)
            return add_each(self._catalog, self._encoder.model_id, sources)

    def _follow(self, brought: Known | Fresh, source_id: str) -> None:
        """Bring the metadata of a source to what its row states, and its file where nothing is."""
        row = brought.row
        try:
            # Read here, not by the reader: a row before this one may have changed it.
            if row.stated or brought.embedded:
                source = self._catalog.source(source_id)
                stated = filled(row.stated, brought.embedded, source)
                if _differ(source, stated):
                    self._catalog.update(source_id, stated)
                    self._updated += 1
                    return
            self._unchanged += 1
        except SourceNotFound:
            self._skipped.append(Skipped(row.path, "was deleted meanwhile: ingest it again"))

    def _tell(self) -> None:
        if self._on_progress is None:
            return
        unchanged, skipped = self._unchanged + self._updated, len(self._skipped)
        done = self._added + unchanged + skipped
        self._on_progress(Progress(done, self._total, self._added, unchanged, skipped))


def _differ(source: Source, stated: dict[str, Any]) -> bool:
    held = {field: getattr(source, field) for field in stated}
    return json.dumps(held, sort_keys=True) != json.dumps(stated, sort_keys=True)


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

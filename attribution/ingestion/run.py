"""What becomes of rows on the thread that writes, in their order, and the count of it.

Whoever has read and encoded them: this process, or workers elsewhere. Reads no file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from attribution.catalog import (
    ActiveEncoderLeftOut,
    Added,
    Catalog,
    CollectionNotFound,
    NewSource,
    Source,
    SourceNotFound,
    SourceTakenDown,
)
from attribution.ingestion.adding import Intake, add_each
from attribution.ingestion.embedded import Embedded, filled
from attribution.ingestion.names import Replaced, Replacements
from attribution.ingestion.reading import TAKEN_DOWN, Known, Skipped
from attribution.ingestion.rows import ManifestRow


class Brought(Protocol):
    """A row whose image is to be added; see `Fresh`."""

    @property
    def row(self) -> ManifestRow:
        """What is stated of it."""

    @property
    def sha256(self) -> str:
        """Of the file."""

    @property
    def namesakes(self) -> tuple[Source, ...]:
        """Sources that have its name and other bytes."""

    @property
    def held(self) -> Source | None:
        """Its source that has no vector yet."""

    @property
    def embedded(self) -> Embedded:
        """What the file says of itself."""


_Brought = TypeVar("_Brought", bound=Brought)


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


class Run(Generic[_Brought]):
    """Takes what comes of each row, in the order of the rows, and writes it batch by batch.

    Args:
        catalog: where sources go.
        model_id: of the encoder that their embeddings are of.
        sources_of: makes sources of a batch; asked twice where another encoder was activated
            meanwhile.
        batch_size: sources a commit.
        total: rows that will come, where it is known.
        on_progress: told after each.
    """

    def __init__(
        self,
        catalog: Catalog,
        model_id: str,
        sources_of: Callable[[Sequence[_Brought]], list[NewSource]],
        batch_size: int,
        total: int | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._catalog = catalog
        self._model_id = model_id
        self._sources_of = sources_of
        self._batch_size = batch_size
        self._total = total
        self._on_progress = on_progress
        self._batch: list[_Brought] = []
        self._added = self._unchanged = self._updated = self._embedded = 0
        self._skipped: list[Skipped] = []
        self._replacements = Replacements()

    def take(self, outcome: Known | _Brought | Skipped) -> None:
        """One row's outcome; what is to be added is written with its batch."""
        if isinstance(outcome, Skipped):
            self._skipped.append(outcome)
            self._tell()
            return
        if outcome.embedded:
            self._embedded += 1
        if isinstance(outcome, Known):
            held = outcome.source
            self._replacements.note(outcome.row, held.sha256, outcome.namesakes, held)
            self._follow(outcome.row, outcome.embedded, held.source_id)
            self._tell()
            return
        self._replacements.note(outcome.row, outcome.sha256, outcome.namesakes, outcome.held)
        self._batch.append(outcome)
        if len(self._batch) == self._batch_size:
            self.commit()

    def commit(self) -> None:
        """Add what has been taken; an interruption before the end loses only this."""
        if not self._batch:
            return
        try:
            intake = self._add()
        except ActiveEncoderLeftOut:  # activated since these were encoded
            intake = self._add()
        for brought, outcome in zip(self._batch, intake.outcomes, strict=True):
            match outcome:
                case Added(created=True):
                    self._added += 1
                case Added():  # the same image came twice, or another process was faster
                    self._follow(brought.row, brought.embedded, outcome.source.source_id)
                case SourceTakenDown():  # since the reader asked
                    self._skipped.append(Skipped(brought.row.path, TAKEN_DOWN))
                case _:
                    raise outcome
        self._batch.clear()
        self._tell()

    def report(self, *, update: bool) -> IngestReport:
        """What became of all rows, once the last batch is written; see `ingest` for `update`."""
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
        sources = self._sources_of(self._batch)
        try:
            return add_each(self._catalog, self._model_id, sources)
        except CollectionNotFound:
            there = {collection.name for collection in self._catalog.collections()}
            for name in sorted({source.collection for source in sources} - there):
                self._catalog.put_collection(name)
            return add_each(self._catalog, self._model_id, sources)

    def _follow(self, row: ManifestRow, embedded: Embedded, source_id: str) -> None:
        """Bring the metadata of a source to what its row states, and its file where nothing is."""
        try:
            # Read here, not by the reader: a row before this one may have changed it.
            if row.stated or embedded:
                source = self._catalog.source(source_id)
                stated = filled(row.stated, embedded, source)
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

"""The embedded index: applies changes, publishes views, builds the next base aside.

It must not know the catalog or files. Writers take a lock; a search takes the published view once
and never waits, neither for a change nor for a compaction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from attribution.index.checks import check_change, check_parts, part_named, slices_asked
from attribution.index.faiss_structure import KIND, Structure
from attribution.index.protocol import ChangeBatch, Hits, Ids, IndexStats, Stretch, Vectors
from attribution.index.segment import Codes, Segment, Tail, cut
from attribution.index.sizing import DEFAULT_SIZING, Sizing
from attribution.index.view import Contents, View
from models.parts import Part

log = logging.getLogger(__name__)


class EmbeddedIndex:
    """An immutable base, an exact tail and the rows removed since, published as one reference."""

    def __init__(
        self,
        parts: Sequence[Part],
        dimension: int,
        model_id: str,
        epoch: str,
        *,
        sizing: Sizing = DEFAULT_SIZING,
        view: View | None = None,
        clean_generation: int = 0,
    ) -> None:
        """An empty index at generation 0, or one that goes on from a view.

        Args:
            parts: slices of a row that can be searched, side by side from end to end.
            dimension: floats a row.
            model_id: the encoder that makes the vectors.
            epoch: the catalog's epoch.
            sizing: thresholds of structures and of compaction.
            view: rows of the same dimension.
            clean_generation: none of them was removed up to this change, not even the dead ones.

        Raises:
            ValueError: no parts, parts that do not fill the row side by side, or two of one name.
        """
        check_parts(parts, dimension)
        self.parts = tuple(parts)
        self.dimension = dimension
        self.model_id = model_id
        self.epoch = epoch
        self.sizing = sizing
        self._view = View.empty(self.parts) if view is None else view
        self._clean = clean_generation
        self._tail = Tail.holding(self._view.tail)
        self._writing = threading.Lock()  # held to publish a view: milliseconds
        self._compacting = threading.Lock()  # held to build a base: up to minutes
        self._compactor: threading.Thread | None = None
        self._scanned_anyway = False  # codes of this base were tried, and propose too little

    @classmethod
    def from_rows(
        cls,
        parts: Sequence[Part],
        dimension: int,
        model_id: str,
        epoch: str,
        contents: Contents,
        *,
        generation: int,
        sizing: Sizing = DEFAULT_SIZING,
    ) -> Self:
        """An index whose base holds these rows, as of a generation."""
        index = cls(parts, dimension, model_id, epoch, sizing=sizing)
        codes, names = _coded(contents.collections, ())
        base = Segment.by_id(contents.ids, cut(contents.vectors, index.parts), codes)
        structure = index._structure(base)
        index._view = replace(
            index._view, base=base, structure=structure, names=names, generation=generation
        )
        index._clean = generation
        return index

    @property
    def view(self) -> View:
        """The state that searches see now; it never changes, so it may be kept and read slowly."""
        return self._view

    @property
    def generation(self) -> int:
        """The last change applied."""
        return self._view.generation

    @property
    def clean_generation(self) -> int:
        """No row of what was removed up to this change is held, not even a dead one."""
        return self._clean

    def apply(self, batch: ChangeBatch) -> None:
        """Publish a batch: every search sees all of it or none. See `Index.apply`."""
        with self._writing:
            present = self._view.generation
            check_change(
                batch.add_vectors, self.dimension, present=present, wanted=batch.generation
            )
            self._view = self._changed(self._view, batch)
        self.compact_if_due()

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        part: str | None = None,
        collections: frozenset[str] | None = None,
    ) -> Hits:
        """The k best of each query. See `Index.search`."""
        chosen = part_named(self.parts, part)
        slices = slices_asked(queries, self.dimension, chosen, k)
        return self._view.search(slices, chosen, k, collections, self.sizing)

    def scanned(self, k: int, *, collections: frozenset[str] | None = None) -> tuple[Stretch, ...]:
        """Every row that may be among the k best. See `Index.scanned`."""
        return self._view.scanned(k, collections, self.sizing)

    def vectors(self, ids: Sequence[int] | Ids, *, part: str | None = None) -> Vectors:
        """(m, d) float32 exact rows, in the order asked. See `Index.vectors`."""
        chosen = None if part is None else part_named(self.parts, part)
        return self._view.vectors(np.asarray(ids, dtype=np.int64), chosen)

    def changed(self, collections: frozenset[str]) -> int:
        """The last change of these collections since the index was opened. See `Index.changed`."""
        touched = self._view.touched
        return max((touched.get(name, 0) for name in collections), default=0)

    def count(self, collections: frozenset[str]) -> int:
        """How many vectors of these collections a search can find."""
        return self._view.count(collections)

    def contents(self) -> Contents:
        """All live rows by ascending id."""
        return self._view.contents()

    def stats(self) -> IndexStats:
        """Sizes, generation, and measured recall."""
        view = self._view
        removed = view.base.removed + view.tail.removed
        return IndexStats(
            kind="flat" if view.structure is None else KIND,
            vectors=len(view.base) + len(view.tail) - removed,
            base=len(view.base),
            tail=len(view.tail),
            removed=removed,
            generation=view.generation,
            epoch=self.epoch,
            model_id=self.model_id,
            dimension=self.dimension,
            recall_at_10=None if view.structure is None else view.structure.recall_at_10,
        )

    def compact(self) -> None:
        """Build the next base here and now; searches and changes go on meanwhile."""
        with self._compacting:
            before = self._view
            base = before.compacted()
            structure = self._structure(base)
            with self._writing:
                self._view, self._tail = _rebased(before, self._view, base, structure)
                self._clean = before.generation

    def trouble(self) -> str | None:
        """None: what is in memory can be asked."""
        return None

    def close(self) -> None:
        """Wait for a compaction in the background to end. The index can still be searched."""
        if self._compactor is not None:
            self._compactor.join()

    def _changed(self, view: View, batch: ChangeBatch) -> View:
        """The view after a batch. Caller holds the writing lock: the tail's buffer grows."""
        codes, names = _coded(batch.add_collections, view.names)
        fresh = ~np.isin(batch.add_ids, batch.remove_ids) & ~view.holds(
            batch.add_ids, batch.add_vectors, codes
        )
        gone = np.concatenate([batch.remove_ids, batch.add_ids[fresh]])
        at_base, at_tail = view.base.locate(gone), view.tail.locate(gone)
        tail = view.tail.without(at_tail[at_tail >= 0])
        return replace(
            view,
            base=view.base.without(at_base[at_base >= 0]),
            tail=self._tail.extend(
                tail, batch.add_ids[fresh], cut(batch.add_vectors[fresh], self.parts), codes[fresh]
            ),
            names=names,
            generation=batch.generation,
            touched=view.touched_by(batch),
        )

    def compact_if_due(self) -> None:
        """Build the next base in the background, where there is reason to."""
        stats = self.stats()
        due = self.sizing.compaction_due(
            base=stats.base, tail=stats.tail, removed=stats.removed
        ) or self._lacks_structure(stats)
        with self._writing:
            running = self._compactor is not None and self._compactor.is_alive()
            if running or not due:
                return
            # A daemon: an unfinished base is worth nothing to a process that is ending.
            self._compactor = threading.Thread(
                target=self._compact_aside, name="index-compaction", daemon=True
            )
            self._compactor.start()

    def _lacks_structure(self, stats: IndexStats) -> bool:
        """Whether the base was saved when larger ones were still scanned."""
        return (
            stats.kind == "flat" and not self.sizing.scans(stats.base) and not self._scanned_anyway
        )

    def _compact_aside(self) -> None:
        try:
            self.compact()
        except Exception:
            # The index is whole without it; the next change that finds it due tries again.
            log.exception("compaction failed; the index goes on with a longer tail")

    def _structure(self, base: Segment) -> Structure | None:
        if self.sizing.scans(len(base)):
            return None
        built = Structure.build(base.matrices, self.parts, self.sizing)
        self._scanned_anyway = built.recall_at_10 < self.sizing.recall
        if not self._scanned_anyway:
            return built
        log.warning(
            "all %d rows are compared: codes propose only %.3f of the ten nearest",
            len(base), built.recall_at_10,
        )  # fmt: skip
        return None


def _coded(collections: Sequence[str], names: tuple[str, ...]) -> tuple[Codes, tuple[str, ...]]:
    """The number of each collection, and the names extended by those not seen before."""
    numbers = {name: number for number, name in enumerate(names)}
    codes = [numbers.setdefault(name, len(numbers)) for name in collections]
    return np.array(codes, dtype=np.int32), tuple(numbers)


def _rebased(
    before: View, now: View, base: Segment, structure: Structure | None
) -> tuple[View, Tail]:
    """The current view on a base that was built from an earlier one, and the tail's new buffer.

    Only compaction changes the base and only one runs at a time, so the rows of `now` are those of
    `before`, some of them dead since, and the tail's rows after them.
    """
    died = np.concatenate(
        [
            before.base.ids[before.base.live & ~now.base.live],
            before.tail.ids[before.tail.live & ~now.tail.live[: len(before.tail)]],
        ]
    )
    at = base.locate(died)
    since = slice(len(before.tail), None)
    live = now.tail.live[since]
    tail = Tail([part.dimension for part in now.parts])
    kept = tail.extend(
        View.empty(now.parts).tail,
        now.tail.ids[since][live],
        tuple(matrix[since][live] for matrix in now.tail.matrices),
        now.tail.codes[since][live],
    )
    return replace(now, base=base.without(at), structure=structure, tail=kept), tail

"""Nulls of filters: of some collections only, kept up to date from the latest changes."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from attribution.calibration.following import FollowedNull, ScoredBackground
from attribution.calibration.null import Null
from attribution.index import ChangeBatch, Index

_KEPT = 16  # filters whose neighbours are remembered
_PATIENCE = 0.5  # seconds until a change that the index has is noted here, which follows at once
_CHANGES_KEPT = 2_000  # changes of the catalog remembered, for filters that are behind


class FilteredNulls:
    """The null of each filter that is asked for, made when it is first asked for.

    A filter that is asked for again takes in what has changed since; where too much has, it
    starts over. One is worked on at a time.

    Args:
        scored: the background.
        index: the searched index.
    """

    def __init__(self, scored: ScoredBackground, index: Index) -> None:
        self._scored, self._index = scored, index
        self._working = threading.Lock()
        self._kept: OrderedDict[frozenset[str], FollowedNull] = OrderedDict()
        self._log = _ChangeLog(index.generation)

    def note(self, batch: ChangeBatch) -> None:
        """Remember a batch that the index has applied; cheap."""
        self._log.append(batch)

    def null(self, collections: frozenset[str], wanted: int) -> Null | None:
        """The null of a filter at generation `wanted` or later."""
        with self._working:
            kept = self._kept.get(collections)
            if kept is None or not self._catch_up(kept, wanted):
                kept = FollowedNull(self._scored, self._index, collections)
                kept.settle()
                self._kept[collections] = kept
            self._kept.move_to_end(collections)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return kept.null

    def _catch_up(self, kept: FollowedNull, wanted: int) -> bool:
        """Take in what has changed since; False where that is not known any more."""
        if kept.generation >= wanted:
            return True
        missed = self._log.between(kept.generation, wanted)
        if missed is None:
            return False
        for batch in missed:
            kept.apply(batch)
        kept.settle()
        return True


class _ChangeLog:
    """The latest batches, oldest first."""

    def __init__(self, generation: int) -> None:
        self._noted = threading.Condition()
        self._before = self._last = generation  # everything between the two is here
        self._batches: deque[ChangeBatch] = deque()

    def append(self, batch: ChangeBatch) -> None:
        with self._noted:
            self._batches.append(batch)
            self._last = batch.generation
            held = sum(len(each.add_ids) + len(each.remove_ids) for each in self._batches)
            while self._batches and held > _CHANGES_KEPT:
                oldest = self._batches.popleft()
                held -= len(oldest.add_ids) + len(oldest.remove_ids)
                self._before = oldest.generation
            self._noted.notify_all()

    def between(self, generation: int, wanted: int) -> list[ChangeBatch] | None:
        """Batches after a generation, up to `wanted` at least; None where some are not here."""
        with self._noted:
            if not self._noted.wait_for(lambda: self._last >= wanted, timeout=_PATIENCE):
                return None
            if generation < self._before:
                return None
            return [batch for batch in self._batches if batch.generation > generation]

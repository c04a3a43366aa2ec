"""Calibration of one encoder on one index: the null of any searched set, always up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.answer import CalibrationState
from attribution.calibration.kept import kept_null, null_id, null_owner, resumed_null
from attribution.calibration.likeness import features_of
from attribution.calibration.null import Null, StratumNull, warn_of_small_strata
from attribution.calibration.nulls import FilteredNulls, FollowedNull, ScoredBackground
from attribution.calibration.reference import Reference
from attribution.catalog import Catalog
from attribution.index import ChangeBatch, Companion, Index
from attribution.retrieval.fusion import Fusion, Queries
from models.background import Background

_PATIENCE = 2.0  # seconds a query waits for the null to catch up with the index
_FOLLOWED_FOR_NOTHING = 200  # changes since a null was kept that every start follows anew
_BUILT_SOON = 1_000
"""Sources whose null is built within about that time; with more, a query does not wait for it."""


class AlphaTooSmall(ValueError):
    """The background is too small to bear out so small an alpha."""

    def __init__(self, alpha: float, smallest: float) -> None:
        super().__init__(
            f"alpha {alpha:g} is below {smallest:.2g}, the smallest p-value that this background "
            "can give: ask for a larger alpha or extend the background"
        )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The null to judge a query by, and the state to report; no null, no decision."""

    null: Null | None
    state: CalibrationState


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What calibration stands on at the moment.

    Attributes:
        state: as in every answer.
        generation: the change of the catalog that the null has seen; None without a null.
        strata: of the null of the whole catalog; none without a null.
    """

    state: CalibrationState
    generation: int | None
    strata: tuple[StratumNull, ...]


class Calibration:
    """Keeps the null of the whole catalog in step with the index, and makes those of filters.

    Args:
        index: what queries search.
        fusion: the encoder's rule for scores.
        background: images without source; None leaves calibration `missing`.
        catalog: where previews of sources are read from.
    """

    def __init__(
        self,
        index: Index,
        fusion: Fusion,
        background: Background | None,
        catalog: Catalog,
    ) -> None:
        self.reference = Reference(fusion)
        self._index = index
        self._changed = threading.Condition(threading.RLock())
        self._building = True  # until the first `build` ends; batches wait meanwhile
        self._pending: list[ChangeBatch] = []
        self._followed: FollowedNull | None = None
        self._computed_at: float | None = None
        self._resumed_at: int | None = None
        self._catalog = catalog
        self.id: str | None = None
        self.owner: Mapping[str, str | int | float] = {}
        self._scored: ScoredBackground | None = None
        if background is not None:
            self.id = null_id(background)
            self.owner = null_owner(background)
            warn_of_small_strata(background.strata)
            self._scored = ScoredBackground(background, self.reference, catalog)
            self._filters = FilteredNulls(self._scored, index)

    def state(self) -> CalibrationState:
        """Whether a decision can be made, and whether the null is that of the index right now.

        `missing` also where a background exists but the encoder has no reference images and the
        catalog is too small to standardise a score by.
        """
        followed = self._followed
        if self._scored is None:
            return CalibrationState(None, "missing")
        if followed is None or followed.generation < self._index.generation:
            return CalibrationState(self.id, "building")
        return CalibrationState(self.id, "missing" if followed.null is None else "fresh")

    def report(self, collections: frozenset[str] | None = None) -> CalibrationReport:
        """The state, and the strata that the null of a searched set is made of; None for all."""
        if collections is not None:
            current = self.current(collections)
            null, state = current.null, current.state
        else:
            followed = self._followed
            null, state = None if followed is None else followed.null, self.state()
        if null is None:
            return CalibrationReport(state, None, ())
        return CalibrationReport(state, null.generation, null.strata)

    def likeness(self, asked: Queries) -> NDArray[np.float64] | None:
        """`(n,)` how like the background queries are; None where that cannot be told now."""
        if self._scored is None or self._followed is None or self._scored.likeness is None:
            return None
        return self._scored.likeness.p_values(features_of(asked))

    def age_seconds(self) -> float | None:
        """How long ago the null of the whole catalog was last computed; None where it never was."""
        computed = self._computed_at
        return None if computed is None else time.monotonic() - computed

    def resume(self, kept: Companion | None) -> None:
        """Go on from a null that was kept, where it can be brought to the index's generation.

        Before the first change is followed. Without it, `ensure` builds one.
        """
        if self._scored is None or kept is None:
            return
        followed = resumed_null(kept, self._scored, self._index, self._catalog)
        if followed is None:
            return
        with self._changed:
            self._settle(followed)
            self._followed, self._building = followed, False
            self._resumed_at = kept.generation

    @property
    def worth_keeping(self) -> bool:
        """Whether the next start would save time by what this one has worked out."""
        followed = self._followed
        if followed is None or followed.null is None:
            return False
        if self._index.stats().vectors <= _BUILT_SOON:
            return False
        resumed = self._resumed_at
        return resumed is None or followed.generation - resumed >= _FOLLOWED_FOR_NOTHING

    def kept(self) -> Companion | None:
        """The null as it stands, to be saved beside the index; None where there is none."""
        with self._changed:
            followed = self._followed
            if self._scored is None or followed is None or followed.null is None:
                return None
            return kept_null(followed, self._scored, self.owner)

    @property
    def wanting(self) -> bool:
        """Whether nothing can be decided until `ensure` has made the null that there is to be."""
        return self._scored is not None and self._followed is None

    def ensure(self) -> None:
        """`build`, unless there is a null already. Not from two threads at once."""
        if self._followed is None:
            self.build()

    def build(self) -> None:
        """Score the whole background against the index; seconds for ten thousand sources."""
        if self._scored is None:
            return
        self._building = True
        try:
            self._build(self._scored)
        finally:
            self._building = False

    def _build(self, scored: ScoredBackground) -> None:
        followed = FollowedNull(scored, self._index)
        with self._changed:
            for batch in self._pending:
                if batch.generation > followed.generation:
                    followed.apply(batch)
            self._pending.clear()
            self._settle(followed)
            self._followed = followed
            self._changed.notify_all()

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch of changes that the index has just applied.

        After a failure there is no null until `ensure` starts over from the index: one with a
        batch missing would be wrong for good, and nobody would see it.
        """
        if self._scored is None:
            return
        self._filters.note(batch)
        with self._changed:
            if self._followed is None:
                if self._building:
                    self._pending.append(batch)
                return
            try:
                self._followed.apply(batch)
                self._settle(self._followed)
            except BaseException:
                self._followed = None
                raise
            self._changed.notify_all()

    def current(self, collections: frozenset[str] | None = None) -> Calibrated:
        """The null of a searched set at the index's present generation.

        Ask after searching: an older null knows less than the search did and would let a source
        that came in between pass as significant. Waits up to two seconds for the null to catch
        up; beyond that there is none, the state is `building`, and nothing is decided. So it is
        at once while the first one is made, unless that takes no longer.
        """
        if self._scored is None:
            return Calibrated(None, CalibrationState(None, "missing"))
        wanted = self._index.generation
        if collections is not None:
            # Changes elsewhere leave it as it is: neither its value nor the time until it is
            # known tells of other collections.
            null = self._filters.null(collections, self._index.changed(collections))
            return Calibrated(null, CalibrationState(self.id, "fresh" if null else "missing"))
        with self._changed:
            soon = self._followed is not None or self._index.stats().vectors <= _BUILT_SOON
            caught_up = self._changed.wait_for(
                lambda: self._reached(wanted), timeout=_PATIENCE if soon else 0
            )
            if not caught_up:
                return Calibrated(None, CalibrationState(self.id, "building"))
            null = None if self._followed is None else self._followed.null
            return Calibrated(null, CalibrationState(self.id, "fresh" if null else "missing"))

    def _settle(self, followed: FollowedNull) -> None:
        followed.settle()
        self._computed_at = time.monotonic()

    def _reached(self, generation: int) -> bool:
        return self._followed is not None and self._followed.generation >= generation

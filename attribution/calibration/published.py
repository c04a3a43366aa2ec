"""The null that another process keeps up to date, read from what it publishes; searches nothing.

Only the null of the whole catalog is published. Those of filters are made here when they are asked
for, as everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.answer import CalibrationState
from attribution.calibration.calibration import Calibrated, Calibration, CalibrationReport
from attribution.calibration.likeness import features_of
from attribution.calibration.null import Null, StratumNull
from attribution.calibration.reference import Reference, Typical
from attribution.catalog import Catalog, Published
from attribution.index import ChangeBatch, Companion, Index, packed, unpacked
from attribution.retrieval.fusion import Fusion, Queries
from models.background import STRATA, Background


def written(calibration: CalibrationReport, reference: Reference) -> bytes:
    """A null as bytes, with what standardises statistics."""
    arrays = {f"stratum-{each.name}": each.statistics for each in calibration.strata}
    copies = np.array([each.copies for each in calibration.strata], np.int64)
    return packed({"copies": copies, **reference.typical.arrays(), **arrays})


def read(data: bytes, generation: int) -> tuple[Null, Typical]:
    """What `written` wrote of a null at a generation."""
    arrays = unpacked(data)
    names = [name for name in STRATA if f"stratum-{name}" in arrays]
    strata = [
        StratumNull(name, arrays[f"stratum-{name}"], int(copies))
        for name, copies in zip(names, arrays["copies"], strict=True)
    ]
    return Null(tuple(strata), generation), Typical.of_arrays(arrays)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What was read last, and when."""

    published: Published | None
    null: Null | None
    at: float


class PublishedCalibration(Calibration):
    """Calibration of a process that only reads.

    Args:
        index: what queries search, never ahead of what is published.
        fusion: the encoder's rule for scores.
        background: images without source; None leaves calibration `missing`.
        catalog: where previews of sources are read from.
        newest: what is published now, of this background.
    """

    def __init__(
        self,
        index: Index,
        fusion: Fusion,
        background: Background | None,
        catalog: Catalog,
        newest: Callable[[], Published | None],
    ) -> None:
        super().__init__(index, fusion, background, catalog)
        self._newest = newest
        self._read = _Read(None, None, time.monotonic())

    def current(self, collections: frozenset[str] | None = None) -> Calibrated:
        """The null that was published last; it is of the index's generation or later."""
        if self._scored is None or collections is not None:
            return super().current(collections)
        looked = self._looked()
        published, null = looked.published, looked.null
        behind = null is not None and null.generation < self._index.generation
        if published is None or behind:
            return Calibrated(null, CalibrationState(self.id, "building"))
        return Calibrated(null, CalibrationState(self.id, published.state["calibration"]))

    def state(self) -> CalibrationState:
        """Whether a null is published that knows all that a search finds."""
        return self.current().state

    def report(self, collections: frozenset[str] | None = None) -> CalibrationReport:
        """The state, and what the null of a searched set is made of. See `Calibration.report`."""
        current = self.current(collections)
        if current.null is None:
            return CalibrationReport(current.state, None, ())
        return CalibrationReport(current.state, current.null.generation, current.null.strata)

    def likeness(self, asked: Queries) -> NDArray[np.float64] | None:
        """`(n,)` how like the background queries are; None where that cannot be told."""
        scored = self._scored
        if scored is None or self._looked().null is None or scored.likeness is None:
            return None
        return scored.likeness.p_values(features_of(asked))

    def age_seconds(self) -> float | None:
        """How long ago this process first read the present null; None where it has none."""
        looked = self._looked()
        return None if looked.null is None else time.monotonic() - looked.at

    def resume(self, kept: Companion | None) -> None:
        """Take what depends on the background alone from a null that was kept."""
        if self._scored is not None and kept is not None:
            self._scored.nearest_parts = kept.arrays["nearest_parts"]
            self._scored.features = kept.arrays["features"]

    def apply(self, batch: ChangeBatch) -> None:
        """Follow a batch for the nulls of filters."""
        if self._scored is not None:
            self._filters.note(batch)

    def ensure(self) -> None:
        """Nothing: another process makes the null."""

    @property
    def wanting(self) -> bool:
        """False: without a new null it answers by the one that was published before."""
        return False

    @property
    def worth_keeping(self) -> bool:
        """False: who makes the null keeps it."""
        return False

    def kept(self) -> Companion | None:
        """None: who makes the null keeps it."""
        return None

    def _looked(self) -> _Read:
        published, last = self._newest(), self._read
        if published is last.published:
            return last
        null = None
        if published is not None and published.null_arrays is not None:
            null, self.reference.typical = read(published.null_arrays, published.generation)
        self._read = _Read(published, null, time.monotonic())
        return self._read

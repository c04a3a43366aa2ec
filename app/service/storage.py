"""What of the disk a running service cannot write, and what it could not take off; mends nothing.

Knows no route. Looked at when somebody asks, at most once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from app.service.compactor import Compactor
from app.service.snapshots import SnapshotSaver
from attribution.catalog import Catalog, CatalogError
from attribution.maintenance import PARTS, unwritable
from attribution.opening.roles import is_written

_FRESH_SECONDS = 1.0
ERASURE = "erasure"
"""The trouble of what was deleted and is on the disk nevertheless."""
INDEXER = "indexer"
"""The trouble that no process writes the index which this one reads."""
KINDS = (*PARTS, ERASURE, INDEXER)


class Storage:
    """Troubles with the disk by the part of the service that has them; for any thread."""

    def __init__(
        self,
        catalog: Catalog,
        snapshots: SnapshotSaver,
        compactor: Compactor,
        folder: Path,
        *,
        shares_index: bool = False,
    ) -> None:
        self._catalog, self._snapshots, self._compactor = catalog, snapshots, compactor
        self._folder, self._shares_index = folder, shares_index
        self._looking = threading.Lock()
        self._seen: tuple[float, Mapping[str, str]] | None = None

    def troubles(self) -> Mapping[str, str]:
        """Why a part cannot be written, or lately was not, by its name; empty where all is well.

        No path and no name of a file is in it: it is told to whoever asks.
        """
        told = dict(self._places())
        for part, reason in self._catalog.write_troubles().items():
            told.setdefault(part, reason)
        if self._snapshots.place.trouble:
            told.setdefault("index", self._snapshots.place.trouble)
        if self._compactor.trouble:
            told[ERASURE] = self._compactor.trouble
        if self._shares_index and not self._written():
            told[INDEXER] = "no process writes the index: what is added is not found"
        return told

    def _written(self) -> bool:
        try:
            return is_written(self._catalog)
        except CatalogError:  # which is a trouble of its own
            return True

    def _places(self) -> Mapping[str, str]:
        """What is found by trying to write; cheap, yet not for every caller anew."""
        with self._looking:
            if self._seen is None or time.monotonic() - self._seen[0] > _FRESH_SECONDS:
                found = unwritable(self._folder, snapshots=self._snapshots.folder)
                reasons: dict[str, str] = {place.part: place.reason for place in found}
                self._seen = (time.monotonic(), reasons)
            return self._seen[1]

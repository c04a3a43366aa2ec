"""Whole rows as the catalog stores them, the latest asked for at hand; knows no Milvus."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from attribution.catalog import Catalog, EmbeddingsMissing
from attribution.index.protocol import Ids, Vectors

_MOST_BYTES = 128 * 2**20
"""Some 25,000 rows of the bundled encoder: what a few dozen queries have for candidates."""


class StoredRows:
    """The rows of one encoder; any thread may ask.

    Args:
        catalog: where they are stored.
        model_id: of the encoder.
        dimension: floats a row.
    """

    def __init__(self, catalog: Catalog, model_id: str, dimension: int) -> None:
        self._catalog, self._model_id, self._dimension = catalog, model_id, dimension
        self._most = max(1, _MOST_BYTES // (4 * dimension))
        self._lock = threading.Lock()
        self._rows: OrderedDict[int, Vectors] = OrderedDict()
        self._forgotten = 0

    def of(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Those of `(n,)` distinct ids that are stored, in the order asked, and `(m, d)` rows."""
        with self._lock:
            before = self._forgotten
            found = {number: self._rows[number] for number in ids.tolist() if number in self._rows}
            for number in found:
                self._rows.move_to_end(number)
        fetched = self._fetch([number for number in ids.tolist() if number not in found])
        found.update(fetched)
        with self._lock:
            if before == self._forgotten:  # else a row may be of before a change
                self._rows.update(fetched)
                while len(self._rows) > self._most:
                    self._rows.popitem(last=False)
        held = [number for number in ids.tolist() if number in found]
        if not held:
            return np.empty(0, np.int64), np.empty((0, self._dimension), np.float32)
        return np.array(held, np.int64), np.stack([found[number] for number in held])

    def forget(self, ids: Iterable[int]) -> None:
        """These have changed, or are gone."""
        with self._lock:
            self._forgotten += 1
            for number in ids:
                self._rows.pop(number, None)

    def _fetch(self, wanted: list[int]) -> dict[int, Vectors]:
        while wanted:
            try:
                rows = self._catalog.embeddings(self._model_id, wanted)
            except EmbeddingsMissing as missing:
                gone = set(missing.vector_ids)
                wanted = [number for number in wanted if number not in gone]
            else:
                # One by one: a view would keep the whole block in memory for the sake of a row.
                return {number: row.copy() for number, row in zip(wanted, rows, strict=True)}
        return {}

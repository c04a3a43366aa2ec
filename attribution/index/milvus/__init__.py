"""An index in Milvus, for galleries that one machine's memory does not hold; needs an extra.

The catalog stays the only truth: Milvus proposes, and every score is of the catalog's rows. What
is lost or wrong there is filled in again from the catalog.
"""

from __future__ import annotations

from attribution.index.milvus.drift import Drift, find_drift, mend_drift
from attribution.index.milvus.erasing import forget_removed
from attribution.index.milvus.held import State
from attribution.index.milvus.index import MilvusIndex
from attribution.index.milvus.opening import Progress, open_milvus, search_milvus
from attribution.index.milvus.reading import MilvusReader
from attribution.index.milvus.server import Server

__all__ = [
    "Drift",
    "MilvusIndex",
    "MilvusReader",
    "Progress",
    "Server",
    "State",
    "find_drift",
    "forget_removed",
    "mend_drift",
    "open_milvus",
    "search_milvus",
]

"""Nearest vectors, in step with the catalog: the index, who feeds it, and its snapshots."""

from __future__ import annotations

from attribution.index.companion import Companion, packed, unpacked
from attribution.index.embedded import EmbeddedIndex
from attribution.index.follower import Follower, logged_ids, missed_changes
from attribution.index.manifest import Owner, SnapshotAbsent, SnapshotRefused
from attribution.index.opening import live_contents, open_index, rebuild
from attribution.index.protocol import (
    ChangeBatch,
    EmbeddingSpace,
    Hits,
    Index,
    IndexLost,
    IndexUnavailable,
    Proposer,
    Stretch,
    VectorsMissing,
)
from attribution.index.recall import measured_recall
from attribution.index.sizing import Sizing
from attribution.index.snapshot import (
    holds_removed,
    load_companion,
    load_snapshot,
    remove_snapshots,
    save_snapshot,
)
from attribution.index.view import Contents

__all__ = [
    "ChangeBatch",
    "Companion",
    "Contents",
    "EmbeddedIndex",
    "EmbeddingSpace",
    "Follower",
    "Hits",
    "Index",
    "IndexLost",
    "IndexUnavailable",
    "Owner",
    "Proposer",
    "Sizing",
    "SnapshotAbsent",
    "SnapshotRefused",
    "Stretch",
    "VectorsMissing",
    "holds_removed",
    "live_contents",
    "load_companion",
    "load_snapshot",
    "logged_ids",
    "measured_recall",
    "missed_changes",
    "open_index",
    "packed",
    "rebuild",
    "remove_snapshots",
    "save_snapshot",
    "unpacked",
]

"""What spares the next start its work: an embedded index in its snapshot, and the null of any.

Beside an embedded index the null lies in the snapshot. An index elsewhere keeps itself; its null is
in the catalog, where every process finds it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from attribution.calibration.kept import null_owner
from attribution.catalog import Catalog, KeptArrays
from attribution.index import (
    Companion,
    EmbeddedIndex,
    EmbeddingSpace,
    Index,
    Owner,
    SnapshotAbsent,
    SnapshotRefused,
    load_companion,
    packed,
    remove_snapshots,
    save_snapshot,
    unpacked,
)
from attribution.opening.load import Vision
from attribution.opening.place import Place

logger = logging.getLogger(__name__)


def save_index(catalog: Catalog, index: Index, folder: Path, null: Companion | None) -> int:
    """Keep an index as it stands, and its null; the generation kept.

    Args:
        catalog: that the index follows.
        index: of whatever kind.
        folder: of snapshots. There is none any more of an index that is elsewhere.
        null: as it stands; None for none.

    Raises:
        CatalogError, OSError, StorageFull: it cannot be written.
    """
    if isinstance(index, EmbeddedIndex):
        return save_snapshot(index, folder, null)
    remove_snapshots(folder)
    if null is not None:
        kept = KeptArrays(null.owner, null.generation, packed(null.arrays))
        catalog.kept_nulls.put(index.model_id, kept)
    return index.generation


def kept_null_of(place: Place, catalog: Catalog, vision: Vision) -> Companion | None:
    """The null that was kept for this encoder and background, if it is sound."""
    encoder, background = vision.encoder, vision.background
    if background is None:
        return None
    wanted = null_owner(background)
    try:
        if place.index_url is not None:
            return _in_catalog(catalog, encoder, wanted)
        owner = Owner(encoder.model_id, encoder.dimension, encoder.parts, catalog.epoch)
        return load_companion(place.snapshots, owner, wanted)
    except SnapshotAbsent:
        return None
    except SnapshotRefused as refused:
        logger.warning("the null is built anew: %s", refused)
        return None


def _in_catalog(
    catalog: Catalog, encoder: EmbeddingSpace, wanted: Mapping[str, str | int | float]
) -> Companion | None:
    kept = catalog.kept_nulls.find(encoder.model_id)
    if kept is None or dict(kept.owner) != dict(wanted):
        return None
    try:
        return Companion(wanted, kept.generation, unpacked(kept.arrays))
    except (OSError, ValueError) as error:
        raise SnapshotRefused(f"what the catalog keeps of it cannot be read: {error}") from error

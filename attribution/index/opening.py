"""Brings an index to the catalog's present: from its snapshot where that is sound, else afresh.

It must not know how a snapshot is laid out, nor HTTP or settings.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from attribution.catalog import Catalog
from attribution.index.embedded import EmbeddedIndex
from attribution.index.follower import Follower
from attribution.index.manifest import Owner, SnapshotAbsent, SnapshotRefused
from attribution.index.protocol import EmbeddingSpace
from attribution.index.sizing import DEFAULT_SIZING, Sizing
from attribution.index.snapshot import load_snapshot
from attribution.index.view import Contents

log = logging.getLogger(__name__)


def open_index(
    catalog: Catalog, encoder: EmbeddingSpace, folder: Path, *, sizing: Sizing = DEFAULT_SIZING
) -> EmbeddedIndex:
    """The encoder's index, at the catalog's last generation.

    Takes the snapshot in `folder`, or rebuilds from the catalog's live embeddings where there is
    none or it is refused (a warning says why), then replays the changes since.
    """
    try:
        index = _from_snapshot(catalog, encoder, folder, sizing)
    except SnapshotAbsent:
        log.info("no index snapshot in %s; building from the catalog", folder)
        index = rebuild(catalog, encoder, sizing=sizing)
    except SnapshotRefused as refused:
        log.warning("%s; rebuilding from the catalog", refused)
        index = rebuild(catalog, encoder, sizing=sizing)
    Follower(catalog, index, encoder.model_id).catch_up()
    return index


def rebuild(
    catalog: Catalog, encoder: EmbeddingSpace, *, sizing: Sizing = DEFAULT_SIZING
) -> EmbeddedIndex:
    """An index of all live embeddings, as of the generation at which reading began.

    Changes made while it reads may show or not; a replay from that generation sets both right.
    """
    generation = catalog.generation()
    return EmbeddedIndex.from_rows(
        encoder.parts,
        encoder.dimension,
        encoder.model_id,
        catalog.epoch,
        live_contents(catalog, encoder),
        generation=generation,
        sizing=sizing,
    )


def live_contents(catalog: Catalog, encoder: EmbeddingSpace) -> Contents:
    """The encoder's embeddings of all live sources, read in pages: not as of one moment."""
    ids = [np.empty(0, np.int64)]
    vectors = [np.empty((0, encoder.dimension), np.float32)]
    collections: list[str] = []
    while len(page := catalog.live_embeddings(encoder.model_id, after_vector_id=_last(ids))):
        ids.append(page.vector_ids)
        vectors.append(page.vectors)
        collections.extend(page.collections)
    return Contents(np.concatenate(ids), np.concatenate(vectors), tuple(collections))


def _from_snapshot(
    catalog: Catalog, encoder: EmbeddingSpace, folder: Path, sizing: Sizing
) -> EmbeddedIndex:
    owner = Owner(encoder.model_id, encoder.dimension, encoder.parts, catalog.epoch)
    index = load_snapshot(folder, owner, sizing=sizing)
    if index.generation > (present := catalog.generation()):
        raise SnapshotRefused(
            f"it is of generation {index.generation}, the catalog stands at {present}"
        )
    return index


def _last(ids: list[np.ndarray]) -> int:
    return int(ids[-1][-1]) if len(ids[-1]) else 0

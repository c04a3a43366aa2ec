"""An index snapshot against the catalog: the same sources, the same numbers, the same history."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from attribution.catalog import Catalog
from attribution.index import (
    Contents,
    EmbeddingSpace,
    Owner,
    SnapshotAbsent,
    SnapshotRefused,
    live_contents,
    load_companion,
    load_snapshot,
    logged_ids,
)

_ATTEMPTS = 3


def snapshot_trouble(catalog: Catalog, encoder: EmbeddingSpace, folder: Path) -> str | None:
    """Why a snapshot cannot serve, in words; None where it can, or where there is none.

    A running service replaces its snapshot now and then: one that vanishes while it is read is
    read again.
    """
    owner = Owner(encoder.model_id, encoder.dimension, encoder.parts, catalog.epoch)
    reason = ""
    for _ in range(_ATTEMPTS):
        named = _current(folder)
        try:
            index = load_snapshot(folder, owner)
            _check_companion(folder, owner)
        except SnapshotAbsent:
            return None
        except SnapshotRefused as refused:
            reason = str(refused)
            if _current(folder) == named:
                return reason
        else:
            return _disagreement(catalog, encoder, index.contents(), index.generation)
    return reason


def _check_companion(folder: Path, owner: Owner) -> None:
    """Raise SnapshotRefused where what is kept beside the index is damaged; there need be none."""
    with suppress(SnapshotAbsent):
        load_companion(folder, owner)


def _disagreement(
    catalog: Catalog, encoder: EmbeddingSpace, held: Contents, generation: int
) -> str | None:
    """Compare what the snapshot and the log after it say with what the catalog holds now."""
    before = catalog.generation()
    if generation > before:
        return f"the index snapshot is of generation {generation}, the catalog stands at {before}"
    now = live_contents(catalog, encoder)
    since = logged_ids(catalog, generation)
    ours, theirs = _untouched(held, since), _untouched(now, since)
    if not np.array_equal(ours.ids, theirs.ids):
        differing = len(np.setxor1d(ours.ids, theirs.ids))
        return f"the index snapshot and the catalog differ in {differing} sources"
    if not np.array_equal(ours.vectors, theirs.vectors):
        return "the index snapshot holds other vectors than the catalog"
    return None


def _untouched(contents: Contents, touched: np.ndarray) -> Contents:
    keep = ~np.isin(contents.ids, touched)
    names = np.array(contents.collections, dtype=object)[keep]
    return Contents(contents.ids[keep], contents.vectors[keep], tuple(names))


def _current(folder: Path) -> bytes | None:
    try:
        return (folder / "CURRENT").read_bytes()
    except OSError:
        return None

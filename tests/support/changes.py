"""Batches of changes for an index, from plain sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribution.index import ChangeBatch
from attribution.index.protocol import Ids, Vectors


def change_batch(
    generation: int,
    *,
    dimension: int,
    add_ids: Sequence[int] | Ids = (),
    add_vectors: Vectors | None = None,
    add_collections: Sequence[str] = (),
    remove_ids: Sequence[int] | Ids = (),
) -> ChangeBatch:
    """A batch; what is left out is empty, with the right shape and type."""
    vectors = np.empty((0, dimension), np.float32) if add_vectors is None else add_vectors
    return ChangeBatch(
        generation=generation,
        add_ids=np.asarray(add_ids, dtype=np.int64),
        add_vectors=np.asarray(vectors, dtype=np.float32),
        add_collections=tuple(add_collections),
        remove_ids=np.asarray(remove_ids, dtype=np.int64),
    )

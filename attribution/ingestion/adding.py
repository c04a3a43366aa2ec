"""How images become sources, whoever brings them; knows neither files nor HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attribution.catalog import Added, Catalog, InvalidField, NewSource, SourceTakenDown
from models.images.decoding import DecodedImage


@dataclass(frozen=True, slots=True)
class Intake:
    """One outcome for each image in order, and the write that queries can wait for."""

    outcomes: tuple[Added | Exception, ...]
    generation: int


def new_source(
    decoded: DecodedImage,
    stated: Mapping[str, Any],
    *,
    collection: str,
    preview: bytes,
    embedding: NDArray[np.float32],
    others: Mapping[str, NDArray[np.float32]],
) -> NewSource:
    """An image with its rows, ready to be added.

    Args:
        decoded: the image.
        stated: `uri`, `title`, `creator`, `licence` and `metadata`, as far as they are known.
        collection: where it goes.
        preview: see `make_preview`.
        embedding: the row of the encoder that the caller adds with.
        others: rows of further encoders by `model_id`.
    """
    return NewSource(
        collection=collection,
        sha256=decoded.sha256,
        width=decoded.width,
        height=decoded.height,
        format=decoded.format,
        **stated,
        preview=preview,
        embedding=embedding,
        others=others,
    )


def add_each(catalog: Catalog, model_id: str, sources: Sequence[NewSource]) -> Intake:
    """Add all at once; where one of them cannot be stored or was taken down, each alone.

    Raises:
        ActiveEncoderLeftOut: another encoder was activated since the rows were made. To be called
            once more, with rows of that one as well.
        CatalogError: the catalog cannot be written, or lacks a collection.
    """
    if not sources:
        return Intake((), catalog.generation())
    try:
        batch = catalog.add(model_id, sources)
    except (InvalidField, SourceTakenDown) as error:
        if len(sources) == 1:
            return Intake((error,), catalog.generation())
        each = [add_each(catalog, model_id, [source]) for source in sources]
        outcomes = tuple(outcome for intake in each for outcome in intake.outcomes)
        return Intake(outcomes, max(intake.generation for intake in each))
    return Intake(batch.items, batch.generation)

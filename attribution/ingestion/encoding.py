"""Images that were read to sources that can be added; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from attribution.catalog import NewSource
from attribution.ingestion.adding import new_source
from attribution.ingestion.companions import Companions, ImageEncoder, rows_of
from attribution.ingestion.embedded import filled
from attribution.ingestion.reading import Fresh


def sources_of(
    encoder: ImageEncoder, companions: Companions | None, batch: Sequence[Fresh]
) -> list[NewSource]:
    """A source of each image, in order, with a row of the encoder and of every further one.

    Raises:
        ValueError: the encoder's vectors are unusable.
    """
    images = [fresh.decoded.image for fresh in batch]
    rows = rows_of(encoder, images)
    others = [{} for _ in images] if companions is None else companions.rows(images)
    return [
        new_source(
            fresh.decoded,
            {**filled(fresh.row.stated, fresh.embedded), "uri": fresh.row.uri or None},
            collection=fresh.row.collection,
            preview=fresh.preview,
            embedding=row,
            others=further,
        )
        for fresh, row, further in zip(batch, rows, others, strict=True)
    ]

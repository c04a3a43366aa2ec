"""Embeddings from previews: for sources that lack a row of an encoder, while another one serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attribution.catalog import Catalog, PreviewMissing, SourceNotFound
from attribution.catalog.encoders import Lacking
from attribution.ingestion.companions import ImageEncoder
from models.images.decoding import decode
from models.images.errors import ImageError

BATCH = 64


@dataclass(frozen=True, slots=True)
class ReembedReport:
    """What was filled in; `lacking` are ids of sources whose preview is missing or unreadable."""

    model_id: str
    embedded: int
    lacking: tuple[str, ...]


def fill_embeddings(
    catalog: Catalog,
    encoder: ImageEncoder,
    *,
    batch_size: int = BATCH,
    on_progress: Callable[[int], None] | None = None,
) -> ReembedReport:
    """Give every source that lacks it a row of `encoder`, made from its preview.

    Others may read and write meanwhile; what is added while it runs is embedded too. An
    interrupted run is continued by the next.

    Args:
        catalog: whose sources.
        encoder: called from this thread only.
        batch_size: previews an encoder call and a commit.
        on_progress: told how many sources of each batch are done.

    Raises:
        InvalidField: the encoder's rows are not finite or do not fit those it has.
    """
    embedded, after = 0, 0
    unreadable: list[str] = []
    while sources := catalog.encoders.lacking(
        encoder.model_id, after_vector_id=after, limit=batch_size
    ):
        after = sources[-1].vector_id
        done, without = _embed(catalog, encoder, sources)
        embedded += done
        unreadable.extend(without)
        if on_progress is not None:
            on_progress(len(sources))
    return ReembedReport(encoder.model_id, embedded, tuple(unreadable))


def _embed(
    catalog: Catalog, encoder: ImageEncoder, sources: Iterable[Lacking]
) -> tuple[int, list[str]]:
    images, ids, without = [], [], []
    for source in sources:
        try:
            images.append(decode(catalog.preview(source.source_id)).image)
            ids.append(source.vector_id)
        except SourceNotFound:
            continue  # deleted meanwhile
        except (PreviewMissing, ImageError):
            without.append(source.source_id)
    if images:
        rows = encoder.encode(images)
        catalog.encoders.fill(encoder.model_id, dict(zip(ids, rows, strict=True)))
    return len(images), without

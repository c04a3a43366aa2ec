"""`attribution ingest --engine ray`: what workers are told, and who writes. Imports no Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from app.inference.upload import decoding_limits
from app.settings import Settings
from attribution.catalog import Catalog, RegisteredEncoder
from attribution.ingestion import (
    Embedded,
    IngestReport,
    ManifestProblem,
    ManifestRow,
    Progress,
    Shard,
)
from attribution.ingestion.bulk import Orders, ingest_on_workers, ray_workers
from attribution.ingestion.companions import registered_in
from attribution.opening.load import (
    load_by_engine,
    load_registered,
    registered_name,
    registered_weights,
)
from attribution.opening.place import PlainPlace
from models.encoder import Encoder


def ingest_on_ray(
    catalog: Catalog,
    encoder: Encoder,
    rows: Iterable[ManifestRow | ManifestProblem | Shard],
    settings: Settings,
    *,
    workers: int | None = None,
    batch_size: int = 64,
    embedded: Callable[[bytes], Embedded] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    update: bool = False,
) -> IngestReport:
    """See `ingest_on_workers`; every worker has one thread where the settings give no number."""
    threads = settings.inference_threads or 1
    place = PlainPlace(
        settings.data.resolve(),
        encoder=registered_name(settings.encoder),
        encoder_weights=_absolute(settings.encoder_weights),
        device=settings.device,
        engine=encoder.choice.engine,
        inference_threads=threads,
    )
    orders = Orders(
        load=partial(load_by_engine, place),
        model_id=encoder.model_id,
        load_registered=partial(_load_further, place),
        folder=Path.cwd(),
        registered=registered_in(catalog),
        limits=decoding_limits(settings),
        embedded=embedded,
        threads=threads,
        threads_that_compute=threads,
        device=settings.device,
    )
    with ray_workers(workers, batch_size=batch_size, cores=threads) as on_ray:
        return ingest_on_workers(
            catalog,
            orders,
            rows,
            on_ray,
            batch_size=batch_size,
            on_progress=on_progress,
            update=update,
        )


def _load_further(place: PlainPlace, registered: RegisteredEncoder) -> Encoder:
    return load_registered(place, registered).encoder


def _absolute(weights: Path | None) -> Path | None:
    resolved = registered_weights(weights)
    return None if resolved is None else Path(resolved)

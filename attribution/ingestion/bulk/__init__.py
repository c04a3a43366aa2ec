"""Reading and encoding on many workers, while one process writes the catalog."""

from __future__ import annotations

from attribution.ingestion.bulk.driver import BATCHES_AT_ONCE, ingest_on_workers
from attribution.ingestion.bulk.held import Held
from attribution.ingestion.bulk.on_ray import RayUnusable, ray_workers
from attribution.ingestion.bulk.worker import Orders

__all__ = [
    "BATCHES_AT_ONCE",
    "Held",
    "Orders",
    "RayUnusable",
    "ingest_on_workers",
    "ray_workers",
]

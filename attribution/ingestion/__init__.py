"""Bringing images in: what to read (manifest), and reading it into a catalog (ingest)."""

from __future__ import annotations

from attribution.ingestion.companions import ImageEncoder
from attribution.ingestion.ingest import IngestReport, Progress, ingest
from attribution.ingestion.manifest import (
    ManifestProblem,
    ManifestRow,
    ManifestUnreadable,
    read_manifest,
)

__all__ = [
    "ImageEncoder",
    "IngestReport",
    "ManifestProblem",
    "ManifestRow",
    "ManifestUnreadable",
    "Progress",
    "ingest",
    "read_manifest",
]

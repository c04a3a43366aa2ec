"""Bringing images in: what to read (manifest), and reading it into a catalog (ingest)."""

from __future__ import annotations

from attribution.ingestion.companions import ImageEncoder
from attribution.ingestion.folders import is_picture
from attribution.ingestion.ingest import IngestReport, Progress, ingest
from attribution.ingestion.manifest import (
    ManifestProblem,
    ManifestRow,
    ManifestUnreadable,
    read_manifest,
)
from attribution.ingestion.names import Missing, Names, Replaced

__all__ = [
    "ImageEncoder",
    "IngestReport",
    "ManifestProblem",
    "ManifestRow",
    "ManifestUnreadable",
    "Missing",
    "Names",
    "Progress",
    "Replaced",
    "ingest",
    "is_picture",
    "read_manifest",
]

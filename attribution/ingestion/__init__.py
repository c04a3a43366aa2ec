"""Bringing images in: what to read (manifest), and reading it into a catalog (ingest)."""

from __future__ import annotations

from attribution.ingestion.companions import ImageEncoder
from attribution.ingestion.embedded import Embedded, embedded_reader, read_embedded
from attribution.ingestion.folders import is_picture
from attribution.ingestion.ingest import IngestReport, Progress, ingest
from attribution.ingestion.manifest import read_manifest
from attribution.ingestion.names import Missing, Names, Replaced
from attribution.ingestion.rows import ManifestProblem, ManifestRow, ManifestUnreadable
from attribution.ingestion.tables import read_with_table

__all__ = [
    "Embedded",
    "ImageEncoder",
    "IngestReport",
    "ManifestProblem",
    "ManifestRow",
    "ManifestUnreadable",
    "Missing",
    "Names",
    "Progress",
    "Replaced",
    "embedded_reader",
    "ingest",
    "is_picture",
    "read_embedded",
    "read_manifest",
    "read_with_table",
]

"""Bringing images in: what to read (manifest), and reading it into a catalog (ingest)."""

from __future__ import annotations

from attribution.ingestion.addresses import is_address
from attribution.ingestion.companions import ImageEncoder
from attribution.ingestion.embedded import Embedded, embedded_reader, read_embedded
from attribution.ingestion.folders import is_picture
from attribution.ingestion.ingest import ingest
from attribution.ingestion.listing import read_address
from attribution.ingestion.manifest import read_manifest
from attribution.ingestion.names import Missing, Names, Replaced
from attribution.ingestion.rows import ManifestProblem, ManifestRow, ManifestUnreadable
from attribution.ingestion.run import IngestReport, Progress
from attribution.ingestion.shards import Shard, expanded, named_as_tar
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
    "Shard",
    "embedded_reader",
    "expanded",
    "ingest",
    "is_address",
    "is_picture",
    "named_as_tar",
    "read_address",
    "read_embedded",
    "read_manifest",
    "read_with_table",
]

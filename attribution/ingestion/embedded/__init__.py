"""What a picture says of itself: title, creator, rights and opt-outs, from EXIF, IPTC and XMP."""

from __future__ import annotations

from attribution.ingestion.embedded.fields import NOTHING_SAID, Embedded, filled
from attribution.ingestion.embedded.reading import (
    embedded_reader,
    installed,
    read_embedded,
)
from attribution.opt_out import EMBEDDED

__all__ = [
    "EMBEDDED",
    "NOTHING_SAID",
    "Embedded",
    "embedded_reader",
    "filled",
    "installed",
    "read_embedded",
]

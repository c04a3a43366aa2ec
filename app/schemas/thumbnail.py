"""Where thumbnails of sources are; imports no more, so that clients may read answers with it."""

from __future__ import annotations

from app.addresses import address


def thumbnail_url(source_id: str) -> str:
    """Where a source's thumbnail is, for whoever sent the present request."""
    return address(f"/v1/sources/{source_id}/thumbnail")

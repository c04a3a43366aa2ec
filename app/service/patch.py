"""Merge patches (RFC 7396) of what is known of a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.service.reach import Holdings
from attribution.catalog import RevisionMismatch, Source

_ATTEMPTS = 10


def patch_source(
    holdings: Holdings,
    source_id: str,
    patch: Mapping[str, Any],
    *,
    revisions: frozenset[int] | None = None,
) -> Source:
    """Apply a merge patch to a source's fields; `metadata` is merged key by key.

    Args:
        holdings: where the source is.
        source_id: which source.
        patch: the fields to change; None deletes.
        revisions: revisions that the caller has seen; None when any will do.

    Raises:
        SourceNotFound, InvalidField: no such source, or a value that cannot be stored.
        RevisionMismatch: the source is at none of `revisions`.
    """
    for attempt in range(_ATTEMPTS):
        source = holdings.source(source_id)
        if revisions is not None and source.revision not in revisions:
            raise RevisionMismatch(
                source_id, expected=max(revisions, default=0), actual=source.revision
            )
        changes = dict(patch)
        if "metadata" in changes:
            changes["metadata"] = merged(source.metadata, patch["metadata"]) or {}
        try:
            return holdings.update(source_id, changes, if_revision=source.revision)
        except RevisionMismatch:
            # Somebody was faster. A caller who named no revision meant whatever is there now.
            if revisions is not None or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


def merged(target: object, patch: object) -> Any:
    """RFC 7396, section 2: objects are merged, null deletes, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result

"""Changes of a source that the caller means at its revision: merge patches (RFC 7396), deletion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from app.problems.problem import Problem
from app.service.reach import Holdings
from attribution.catalog import Deleted, RevisionMismatch, Source

Allowed = Callable[[Source], bool] | None
"""Whether the caller means a source at this revision; None: at any."""
Written = TypeVar("Written")
_ATTEMPTS = 10


def patch_source(
    holdings: Holdings,
    source_id: str,
    patch: Mapping[str, Any],
    allowed: Allowed,
) -> Source:
    """Apply a merge patch to a source's fields; `metadata` is merged key by key.

    Args:
        holdings: where the source is.
        source_id: which source.
        patch: the fields to change; None deletes.
        allowed: see `Allowed`.

    Raises:
        SourceNotFound, InvalidField: no such source, or a value that cannot be stored.
        Problem: 412 `revision-mismatch`.
    """

    def change(source: Source) -> Source:
        changes = dict(patch)
        if "metadata" in changes:
            changes["metadata"] = merged(source.metadata, patch["metadata"]) or {}
        return holdings.update(source_id, changes, if_revision=source.revision)

    return _at_its_revision(holdings, source_id, allowed, change)


def delete_source(holdings: Holdings, source_id: str, allowed: Allowed) -> Deleted:
    """Delete a source that the caller means at its revision.

    Raises:
        SourceNotFound: no such source; where any revision is meant it comes back as missing.
        Problem: 412 `revision-mismatch`.
    """
    if allowed is None:
        return holdings.delete(source_ids=[source_id])
    return _at_its_revision(
        holdings,
        source_id,
        allowed,
        lambda source: holdings.delete(source_ids=[source_id], if_revision=source.revision),
    )


def _at_its_revision(
    holdings: Holdings, source_id: str, allowed: Allowed, write: Callable[[Source], Written]
) -> Written:
    """Write what is refused where somebody else was faster, and then look and write again."""
    for attempt in range(_ATTEMPTS):
        source = holdings.source(source_id)
        if allowed is not None and not allowed(source):
            raise Problem(
                "revision-mismatch",
                f"source {source_id!r} is at revision {source.revision}, which If-Match does not "
                "name; read it again, then repeat the change.",
            )
        try:
            return write(source)
        except RevisionMismatch:
            if attempt == _ATTEMPTS - 1:  # somebody was faster, again and again
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

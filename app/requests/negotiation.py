"""Checks of what a request sends and accepts that are the same for many routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import BaseModel

from app.problems.problem import Problem


class NoParameters(BaseModel, extra="forbid"):
    """The query parameters of an endpoint that takes none."""


def _no_parameters(parameters: Annotated[NoParameters, Query()]) -> None:
    """Refuse every query parameter: a misspelt one must not be ignored in silence."""


NO_PARAMETERS: Any = Depends(_no_parameters)


def require_json_accepted(request: Request) -> None:
    """Refuse a caller who cannot take JSON, before any work is done."""
    accepted = request.headers.get("accept", "*/*")
    if not accepts(accepted, "application/json"):
        raise Problem(
            "not-acceptable",
            f"This endpoint answers application/json, which Accept: {accepted[:200]!r} excludes.",
        )


ANSWERS_JSON: Any = Depends(require_json_accepted)


def accepts(header: str, media_type: str) -> bool:
    """Whether an Accept header allows a media type, the most specific range deciding (RFC 9110)."""
    return _preference(header, media_type)[0] > 0


def acceptable(header: str, offered: Sequence[str]) -> list[str]:
    """Those of the media types offered that an Accept header allows, best first.

    The larger quality wins; of equal ones the one named more exactly, so that
    `application/pdf, */*` means PDF; then the one offered first.
    """
    preferences = {media_type: _preference(header, media_type) for media_type in offered}
    allowed = [media_type for media_type in offered if preferences[media_type][0] > 0]
    return sorted(allowed, key=lambda media_type: preferences[media_type], reverse=True)


def _preference(header: str, media_type: str) -> tuple[float, int]:
    """Quality of a media type, and how exactly the range that decides it names the type."""
    kind = media_type.partition("/")[0]
    best, quality = -1, 0.0
    for part in header.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        if media_range not in (media_type, f"{kind}/*", "*/*"):
            continue
        specificity = (media_range != "*/*") + (media_range == media_type)
        if specificity > best:
            best, quality = specificity, _quality(parameters)
    return quality, best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def require_json_sent(request: Request) -> None:
    """Refuse a body that does not say it is JSON."""
    sent = request.headers.get("content-type")
    if sent is None and request.headers.get("content-length", "0") == "0":
        return
    media_type = (sent or "").partition(";")[0].strip().lower()
    if media_type not in ("application/json", "application/merge-patch+json"):
        raise Problem("unsupported-media-type", "Send a JSON document as application/json.")


TAKES_JSON: Any = Depends(require_json_sent)

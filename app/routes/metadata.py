"""The `metadata` part that goes with uploaded sources, read and described."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.problems.problem import FieldError, Problem, invalid
from app.schemas.source import SourceMetadata

_EXAMPLE = {"uri": "photos/lighthouse.jpg", "title": "Lighthouse", "licence": "CC-BY-4.0"}
_OBJECT = "JSON object with any of `uri`, `title`, `creator`, `licence` and `metadata`."

METADATA_OF_ONE: dict[str, Any] = {
    "type": "string",
    "contentMediaType": "application/json",
    "description": _OBJECT,
    "examples": [json.dumps(_EXAMPLE)],
}
METADATA_OF_MANY: dict[str, Any] = {
    "type": "string",
    "contentMediaType": "application/json",
    "description": f"JSON array with one item for each file, in their order. Each is null or a "
    f"{_OBJECT}",
    "examples": [json.dumps([_EXAMPLE, None])],
}

_ONE: TypeAdapter[SourceMetadata] = TypeAdapter(SourceMetadata)
_MANY: TypeAdapter[list[SourceMetadata | None]] = TypeAdapter(list[SourceMetadata | None])


def read_metadata(text: bytes | None) -> SourceMetadata:
    """What is known of one upload (an object).

    Raises:
        Problem: 422, naming each value that is wrong.
    """
    if text is None:
        return SourceMetadata()
    try:
        return _ONE.validate_json(text)
    except ValidationError as error:
        raise _invalid(error) from error


def read_metadata_list(text: bytes | None, *, count: int) -> list[SourceMetadata]:
    """What is known of each of `count` uploads (an array).

    Raises:
        Problem: 422, naming each value that is wrong, or an array of another length.
    """
    if text is None:
        return [SourceMetadata() for _ in range(count)]
    try:
        known = _MANY.validate_json(text)
    except ValidationError as error:
        raise _invalid(error) from error
    if len(known) != count:
        detail = f"has {len(known)} items for {count} files; send one for each, or null"
        raise invalid("body.metadata", detail)
    return [item or SourceMetadata() for item in known]


def _invalid(error: ValidationError) -> Problem:
    wrong = [
        FieldError(".".join(map(str, ("body", "metadata", *item["loc"]))), item["msg"])
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    return Problem("invalid-request", f"{wrong[0].location}: {wrong[0].detail}", errors=wrong)

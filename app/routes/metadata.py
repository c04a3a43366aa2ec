"""The `metadata` part that goes with uploaded sources, read and described."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from app.problems.problem import FieldError, Problem, invalid
from app.schemas.source import SourceMetadata

T = TypeVar("T")

_EXAMPLE = {"uri": "photos/lighthouse.jpg", "title": "Lighthouse", "licence": "CC-BY-4.0"}
_OBJECT = "JSON object with any of `uri`, `title`, `creator`, `licence` and `metadata`."


def _part(description: str, example: Any) -> dict[str, Any]:
    return {
        "type": "string",
        "contentMediaType": "application/json",
        "description": description,
        "examples": [json.dumps(example)],
    }


METADATA_OF_ONE = _part(_OBJECT, _EXAMPLE)
METADATA_OF_MANY = _part(
    f"JSON array with one item for each file, in their order. Each is null or a {_OBJECT}",
    [_EXAMPLE, None],
)

_ONE: TypeAdapter[SourceMetadata] = TypeAdapter(SourceMetadata)
_MANY: TypeAdapter[list[SourceMetadata | None]] = TypeAdapter(list[SourceMetadata | None])


def read_metadata(text: bytes | None) -> SourceMetadata:
    """What is known of one upload (an object).

    Raises:
        Problem: 422, naming each value that is wrong.
    """
    return SourceMetadata() if text is None else _read(_ONE, text)


def read_metadata_list(text: bytes | None, *, count: int) -> list[SourceMetadata]:
    """What is known of each of `count` uploads (an array).

    Raises:
        Problem: 422, naming each value that is wrong, or an array of another length.
    """
    known = [None] * count if text is None else _read(_MANY, text)
    if len(known) != count:
        detail = f"has {len(known)} items for {count} files; send one for each, or null"
        raise invalid("body.metadata", detail)
    return [item or SourceMetadata() for item in known]


def _read(form: TypeAdapter[T], text: bytes) -> T:
    try:
        return form.validate_json(text)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> Problem:
    wrong = [
        FieldError(".".join(map(str, ("body", "metadata", *item["loc"]))), item["msg"])
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    return Problem("invalid-request", f"{wrong[0].location}: {wrong[0].detail}", errors=wrong)

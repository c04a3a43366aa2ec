"""How the API describes itself: problem responses, and bodies that routes read by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from app.access.scopes import is_public, rule_of
from app.problems.problem import MEDIA_TYPE
from app.problems.types import PROBLEM_TYPES
from app.routes.streaming import JSON_LINES
from app.schemas.problem import ProblemDocument
from attribution.report.document import Report

_SCHEMA_REFERENCE = "#/components/schemas/{model}"
_PROBLEM_REFERENCE = {"$ref": _SCHEMA_REFERENCE.format(model="ProblemDocument")}
_ANYWHERE = (
    "unauthenticated", "forbidden", "cross-site-request", "request-timeout", "invalid-request",
    "too-many-requests", "internal-error", "overloaded", "not-ready", "catalog-unavailable",
    "index-unavailable", "storage-full", "storage-unavailable",
)  # fmt: skip
_GUARDED_STATUSES = (401, 429)
_JSON = ("malformed-body", "request-too-large", "unsupported-media-type")
_IMAGE = (
    "malformed-body", "request-too-large", "image-too-large", "too-many-pixels",
    "unsupported-media-type", "unsupported-image", "empty-image", "corrupt-image",
    "inference-failed",
)  # fmt: skip
BINARY = {"type": "string", "format": "binary"}
"""Schema of a file."""

Responses = dict[int | str, dict[str, Any]]


def problems(*slugs: str) -> Responses:
    """OpenAPI responses for these kinds of problem and those that any endpoint may answer with."""
    by_status: dict[int, dict[str, Any]] = {}
    for slug in dict.fromkeys((*slugs, *_ANYWHERE)):
        kind = PROBLEM_TYPES[slug]
        by_status.setdefault(kind.status, {})[slug] = {
            "value": {
                "type": kind.uri,
                "title": kind.title,
                "status": kind.status,
                "detail": kind.advice,
                "request_id": "req_5f0c2e9d7b1a4c3e8f60",
            }
        }
    return {
        status: {
            "description": "; ".join(example["value"]["title"] for example in examples.values()),
            "content": {MEDIA_TYPE: {"schema": _PROBLEM_REFERENCE, "examples": examples}},
        }
        for status, examples in sorted(by_status.items())
    }


def json_problems(*slugs: str) -> Responses:
    """`problems` of an endpoint that takes JSON."""
    return problems(*_JSON, *slugs)


def image_problems(*slugs: str) -> Responses:
    """`problems` of an endpoint that takes images."""
    return problems(*_IMAGE, *slugs)


def json_lines(description: str) -> dict[str, Any]:
    """A response of one JSON object a line."""
    content = {JSON_LINES: {"schema": {"type": "string"}}}
    return {"description": description, "content": content}


def one_image(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """The request body of one image: multipart field `file`, or the image itself."""
    formats = ("jpeg", "png", "webp", "gif")
    raw = {f"image/{name}": {"schema": BINARY} for name in formats}
    return _body({"file": BINARY, **fields}, required="file", others=raw)


def many_images(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """The request body of several images: repeated multipart field `files`."""
    files = {"type": "array", "items": BINARY, "minItems": 1}
    return _body({"files": files, **fields}, required="files", others={})


def _body(
    properties: Mapping[str, Any], *, required: str, others: Mapping[str, Any]
) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [required],
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": schema}, **others}
    return {"requestBody": {"required": True, "content": content}}


def install(app: FastAPI) -> None:
    """Complete the generated description with the schemas that no route returns as such."""
    generated = app.openapi

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            description = generated()
            schemas = description["components"]["schemas"]
            for model in (ProblemDocument, Report):
                schema = model.model_json_schema(
                    ref_template=_SCHEMA_REFERENCE, mode="serialization"
                )
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
            _require_keys(description)
            app.openapi_schema = description
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way


def _require_keys(description: dict[str, Any]) -> None:
    """Say which endpoints need a key and which scope, as `app.access.scopes` has it."""
    description["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key that `attribution keys create` made; not needed while a service "
            "has none.",
        }
    }
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if is_public(path):
                for status in _GUARDED_STATUSES:
                    operation["responses"].pop(str(status), None)
            elif rule := rule_of(method.upper(), path):
                operation["security"] = [{"key": []}, {}]
                operation["x-scopes"] = list(rule.scopes)

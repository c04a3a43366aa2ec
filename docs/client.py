"""Writes `attribution_client` from the service's own description: `make client`.

`documents.py` gets a model for each schema, `operations.py` a method for each operation, once to
be called and once to be awaited. It knows the constructs that the description uses and refuses
others by name, so that nothing is left out unseen.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.factory import create_app
from app.settings import Settings

CLIENT = Path(__file__).parents[1] / "attribution_client"
_REFERENCE = "#/components/schemas/"
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_WIDTH = 100
_LINES = "application/jsonl"
_SENT_HEADERS = ("idempotency-key", "if-match")
"""Headers that are worth a parameter; what caches and negotiation send is not."""

Schema = Mapping[str, Any]

_DOCUMENTS = '''\
"""The JSON documents of the HTTP API. Written by `make client` from its description: edit nothing.

A member or a value that this version has not heard of is kept, so that a newer service is read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """What all of them are."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())
'''
_OPERATIONS = '''\
"""One method for each operation of the HTTP API. Written by `make client`: edit nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from attribution_client import documents
from attribution_client.calls import AsyncCalling, Call, Calling, Image
'''


class UnknownConstruct(ValueError):
    """The description uses something that this writer has not been taught."""


def described() -> dict[str, Any]:
    """The description of the service as it is."""
    return create_app(Settings()).openapi()


def documents(description: Mapping[str, Any]) -> str:
    """The text of `documents.py`."""
    schemas = description["components"]["schemas"]
    parts = [_model(name, schema) for name, schema in sorted(schemas.items()) if _named(schema)]
    return "\n\n".join([_DOCUMENTS, *parts])


def operations(description: Mapping[str, Any]) -> str:
    """The text of `operations.py`."""
    schemas = description["components"]["schemas"]
    found = [
        _Operation(method, path, described, schemas)
        for path, methods in description["paths"].items()
        for method, described in methods.items()
    ]
    ways = (
        ('class Operations(Calling):\n    """Each returns once it is answered."""', False),
        ('class AsyncOperations(AsyncCalling):\n    """Each is awaited."""', True),
    )
    return "\n\n".join(
        [
            _OPERATIONS,
            *(
                "\n\n".join([head, *(o.method(awaited=awaited) for o in found)])
                for head, awaited in ways
            ),
        ]
    )


def _named(schema: Schema) -> bool:
    """Whether a schema is worth a model: `JsonValue` is anything."""
    return "properties" in schema


def _model(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    lines = [f"class {name}(Document):", _docstring(schema.get("description", name), 4)]
    for member, its in schema["properties"].items():
        kind, value = _type(its), ""
        if member not in required:
            default = its.get("default")
            kind = kind if default is not None or kind.endswith("| None") else f"{kind} | None"
            value = f" = Field(default={default!r})"
        lines.append(f"    {member}: {kind}{value}")
        if "description" in its:
            lines.append(_docstring(its["description"], 4))
    return "\n".join(lines)


def _type(schema: Schema, *, open_values: bool = True) -> str:
    """The Python type of a schema.

    Args:
        schema: of a member or parameter.
        open_values: values that are not among those listed are taken too.
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return "Any" if name == "JsonValue" else name
    if "anyOf" in schema:
        kinds = dict.fromkeys(_type(each, open_values=open_values) for each in schema["anyOf"])
        return " | ".join(kinds)
    if "enum" in schema or "const" in schema:
        values = ", ".join(map(repr, schema.get("enum", [schema.get("const")])))
        more = " | str" if open_values and schema.get("type") == "string" else ""
        return f"Literal[{values}]{more}"
    return _plain_type(schema, open_values=open_values)


def _plain_type(schema: Schema, *, open_values: bool) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema['items'], open_values=open_values)}]"
    if kind == "object":
        further = schema.get("additionalProperties")
        return f"dict[str, {_type(further) if isinstance(further, dict) else 'Any'}]"
    if kind == "string" and schema.get("format") == "date-time":
        return "datetime"
    if kind is not None:
        return _SCALARS[kind]
    if not set(schema) - {"title", "description", "default"}:
        return "Any"
    raise UnknownConstruct(f"{schema}")


def _qualified(kind: str, schemas: Mapping[str, Schema]) -> str:
    return f"documents.{kind}" if kind in schemas else kind


class _Operation:
    """One operation, as the two methods that it becomes."""

    def __init__(
        self, verb: str, path: str, described: Mapping[str, Any], schemas: Mapping[str, Schema]
    ) -> None:
        self.verb, self.path, self.described, self.schemas = verb.upper(), path, described, schemas
        self.parameters = [
            each
            for each in described.get("parameters", ())
            if each["in"] in ("path", "query") or each["name"] in _SENT_HEADERS
        ]

    def method(self, *, awaited: bool) -> str:
        """The text of the method."""
        answer, reader = self._answer()
        if reader == "lines":
            answer = answer.replace("Iterator", "AsyncIterator") if awaited else answer
        asynchronous = awaited and reader != "lines"
        head = f"{'async ' if asynchronous else ''}def {self.described['operationId']}"
        signature = ", ".join(["self", *self._arguments()])
        model = f", {answer.removesuffix(' | None')}" if reader == "document" else ""
        call = f"self._{reader}({self._call()}{model})"
        returned = f"await {call}" if asynchronous else call
        if answer.endswith(" | None"):
            reader_of_none = call.replace(f"self._{reader}(", f"self._{reader}_or_none(", 1)
            returned = f"await {reader_of_none}" if asynchronous else reader_of_none
        return textwrap.indent(
            f"{head}({signature}) -> {answer}:\n{self._docstring()}\n    return {returned}\n",
            "    ",
        )

    def _docstring(self) -> str:
        text = f"{self.described['summary']}.\n\n{self.described.get('description', '')}".strip()
        told = [
            f"- `{_python(each['name'])}`: {each['description']}"
            for each in self.parameters
            if each.get("description")
        ]
        return _docstring("\n".join([text, "", *told]) if told else text, 4)

    def _arguments(self) -> Iterator[str]:
        named = list(self.parameters)
        yield from (f"{each['name']}: str" for each in named if each["in"] == "path")
        body = self._body()
        yield from (f"{name}: {kind}" for name, kind, required in body if required)
        rest = [each for each in named if each["in"] != "path"]
        optional = [each for each in body if not each[2]]
        if rest or optional:
            yield "*"
        yield from (f"{name}: {kind} | None = None" for name, kind, _ in optional)
        for each in rest:
            kind = _type(each["schema"], open_values=False).removesuffix(" | None")
            kind = kind.replace("list[", "Sequence[")
            yield f"{_python(each['name'])}: {kind} | None = None"

    def _body(self) -> list[tuple[str, str, bool]]:
        """Each argument of the body: name, type, whether it must be given."""
        body = self.described.get("requestBody")
        if body is None:
            return []
        content = body["content"]
        if "application/json" in content:
            schema = content["application/json"]["schema"]
            [kind] = [_type(each) for each in schema.get("anyOf", [schema]) if "$ref" in each]
            return [("body", _qualified(kind, self.schemas), body.get("required", False))]
        form = content["multipart/form-data"]["schema"]
        return [
            (name, _part(schema), name in form["required"])
            for name, schema in form["properties"].items()
        ]

    def _call(self) -> str:
        path = self.path
        for each in self.parameters:
            if each["in"] == "path":
                path = path.replace(f"{{{each['name']}}}", f"{{self._quoted({each['name']})}}")
        parts = [repr(self.verb), f"{'f' if path != self.path else ''}{path!r}"]
        for place, name in (("query", "query"), ("header", "headers")):
            given = ", ".join(
                f"{each['name']!r}: {_python(each['name'])}"
                for each in self.parameters
                if each["in"] == place
            )
            if given:
                parts.append(f"{name}={{{given}}}")
        for name, kind, _ in self._body():
            match kind:
                case "Image":
                    parts.append(f"files=[({name!r}, {name})]")
                case "Sequence[Image]":
                    parts.append(f"files=[({name!r}, each) for each in {name}]")
                case "Mapping[str, Any]" | "Sequence[Mapping[str, Any]]":
                    parts.append(f"form={{{name!r}: {name}}}")
                case _:
                    parts.append("body=body")
        return f"Call({', '.join(parts)})"

    def _answer(self) -> tuple[str, str]:
        """The type that the method returns, and which reader makes it of a response."""
        kinds: dict[str, str] = {}
        nothing = False
        for status, response in self.described["responses"].items():
            if not status.startswith(("2", "3")):
                continue
            content = response.get("content", {})
            if not content:
                nothing = True
            elif _LINES in content:
                kinds["Iterator[dict[str, Any]]"] = "lines"
            elif "application/json" in content:
                kind = _qualified(_type(content["application/json"]["schema"]), self.schemas)
                kinds[kind] = "document"
            elif "text/plain" in content:
                kinds["str"] = "text"
            else:
                kinds["bytes"] = "bytes"
        if len(kinds) != 1:
            raise UnknownConstruct(f"{self.verb} {self.path} answers {sorted(kinds)}")
        [(kind, reader)] = kinds.items()
        return (f"{kind} | None" if nothing else kind), reader


def _part(schema: Schema) -> str:
    """The type of a part of a form."""
    if schema.get("format") == "binary":
        return "Image"
    if schema.get("type") == "array" and schema["items"].get("format") == "binary":
        return "Sequence[Image]"
    if schema.get("contentMediaType") == "application/json":
        several = str(schema.get("description", "")).startswith("JSON array")
        return "Sequence[Mapping[str, Any]]" if several else "Mapping[str, Any]"
    raise UnknownConstruct(f"{schema}")


def _python(name: str) -> str:
    return name.replace("-", "_")


def _docstring(text: str, indent: int) -> str:
    """A docstring whose lines are not too long."""
    width = _WIDTH - 8  # a method stands in a class
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        inner = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(line, width, subsequent_indent=inner) or [""]
    whole = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    closed = f'"""{whole}"""' if len(lines) == 1 and len(whole) < width - 6 else f'"""{whole}\n"""'
    return textwrap.indent(closed, " " * indent)


def formatted(text: str, path: Path) -> str:
    """The text as `make format` would leave it.

    Raises:
        SyntaxError: it is no Python.
    """
    ast.parse(text)
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(path), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def files(description: Mapping[str, Any]) -> dict[Path, str]:
    """Every file that is written, with its text."""
    return {
        path: formatted(text, path)
        for path, text in (
            (CLIENT / "documents.py", documents(description)),
            (CLIENT / "operations.py", operations(description)),
        )
    }


if __name__ == "__main__":
    for path, text in files(described()).items():
        path.write_text(text, encoding="utf-8")

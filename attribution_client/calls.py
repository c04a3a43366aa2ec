"""A call before it is sent, and what is asked of whoever sends it; sends nothing itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

Image = bytes | tuple[str, bytes]
"""The bytes of a file, or its name and its bytes."""

Read = TypeVar("Read", bound=BaseModel)
_KEY = "idempotency-key"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Arguments that are None are not sent, for the service then decides.

    Attributes:
        verb: the method of HTTP.
        path: under the address of the service, quoted.
        query: parameters.
        headers: likewise.
        body: what is sent as JSON, of which what was not set is left out.
        files: parts of a form that are files.
        form: parts of a form that are JSON.
        key: of idempotency where none is given, so that what is sent again is not done twice.
    """

    verb: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: BaseModel | None = None
    files: Sequence[tuple[str, Image]] = ()
    form: Mapping[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=lambda: f"client-{uuid.uuid4().hex}")

    @property
    def parts(self) -> dict[str, Any]:
        """The request as httpx takes it."""
        headers = {name: value for name, value in self.headers.items() if value is not None}
        if _KEY in self.headers:
            headers.setdefault(_KEY, self.key)
        given = {name: value for name, value in self.query.items() if value is not None}
        parts: dict[str, Any] = {"params": to_jsonable_python(given), "headers": headers}
        if self.body is not None:
            parts["json"] = self.body.model_dump(mode="json", exclude_unset=True)
        if self.files:
            parts["files"] = [(name, _file(image)) for name, image in self.files]
            parts["data"] = {
                name: json.dumps(value) for name, value in self.form.items() if value is not None
            }
        return parts


def _file(image: Image) -> tuple[str, bytes]:
    return image if isinstance(image, tuple) else ("image", image)


class Calling(Protocol):
    """Sends calls and reads what is answered."""

    def _document(self, call: Call, kind: type[Read]) -> Read: ...

    def _document_or_none(self, call: Call, kind: type[Read]) -> Read | None: ...

    def _text(self, call: Call) -> str: ...

    def _bytes_or_none(self, call: Call) -> bytes | None: ...

    def _lines(self, call: Call) -> Iterator[dict[str, Any]]: ...

    @staticmethod
    def _quoted(part: str) -> str:
        """Part of a path."""
        return quote(part, safe="")


class AsyncCalling(Protocol):
    """Sends calls and reads what is answered, while others wait."""

    async def _document(self, call: Call, kind: type[Read]) -> Read: ...

    async def _document_or_none(self, call: Call, kind: type[Read]) -> Read | None: ...

    async def _text(self, call: Call) -> str: ...

    async def _bytes_or_none(self, call: Call) -> bytes | None: ...

    def _lines(self, call: Call) -> AsyncIterator[dict[str, Any]]: ...

    @staticmethod
    def _quoted(part: str) -> str:
        """Part of a path."""
        return quote(part, safe="")

"""Answers of many lines, written while they are made; knows no route."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from fastapi.responses import StreamingResponse

JSON_LINES = "application/jsonl"


def streamed(lines: Iterator[str]) -> StreamingResponse:
    """A response of these lines, the first of which is made now.

    What keeps an answer from being made at all shows with its first line. Raised here it becomes a
    problem; raised after the response has begun it could only cut the connection.
    """
    first = list(islice(lines, 1))
    return StreamingResponse(chain(first, lines), media_type=JSON_LINES)

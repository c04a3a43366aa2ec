"""Answers that are written while they are made; knows no route."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain


def begun(pieces: Iterator[str]) -> Iterator[str]:
    """`pieces`, of which the first is made now.

    What keeps an answer from being made at all shows with its first piece. Raised here it becomes
    a problem; raised after the response has begun it could only cut the connection.
    """
    first = next(pieces, None)
    return iter(()) if first is None else chain((first,), pieces)

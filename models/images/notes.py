"""What a decoder had to decide about a picture, to be said where an answer speaks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "ground-black",
    "ground-white",
    "levels",
    "later-frame",
    "no-end-marker",
    "framed-picture",
    "no-content",
]

FRAMED: Code = "framed-picture"


@dataclass(frozen=True, slots=True)
class Note:
    """One such decision: `code` is a stable slug, `detail` a sentence for people."""

    code: Code
    detail: str


NO_END = Note("no-end-marker", "The file lacks its end marker, and no row of the picture.")


def later_frame(number: int) -> Note:
    """The first picture of a file shows nothing, and this one of it is taken, counted from 1."""
    return Note("later-frame", f"Its first picture shows nothing: frame {number} is used.")

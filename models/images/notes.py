"""What a decoder had to decide about a picture, to be said where an answer speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

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
Turn = Literal[0, 90, 180, 270]
"""Degrees to the left by which a picture is turned."""
TURNS: tuple[Turn, ...] = get_args(Turn)
HOW_TURNED: Mapping[Turn, str] = {
    90: "by a quarter to the left",
    180: "upside down",
    270: "by a quarter to the right",
}


@dataclass(frozen=True, slots=True)
class Note:
    """One such decision: `code` is a stable slug, `detail` a sentence for people."""

    code: Code
    detail: str


NO_END = Note("no-end-marker", "The file lacks its end marker, and no row of the picture.")


def later_frame(number: int) -> Note:
    """The first picture of a file shows nothing, and this one of it is taken, counted from 1."""
    return Note("later-frame", f"Its first picture shows nothing: frame {number} is used.")

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


@dataclass(frozen=True, slots=True)
class Note:
    """One such decision: `code` is a stable slug, `detail` a sentence for people."""

    code: Code
    detail: str

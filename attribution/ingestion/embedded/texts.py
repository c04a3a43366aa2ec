"""Other people's text as it is stored: one line, no controls, no longer than its field."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 512


def from_bytes(value: bytes) -> str:
    """Text of a field that does not say how it is encoded: UTF-8 where it is, else Windows-1252."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def cleaned(text: str, longest: int = LONGEST) -> str:
    """The text on one line, without controls and halves of characters, cut where it is too long."""
    kept = (
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cs", "Co"}
    )
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def joined(texts: Iterable[str], longest: int = LONGEST) -> str:
    """Several names as one text, each once."""
    return cleaned("; ".join(dict.fromkeys(filter(None, map(cleaned, texts)))), longest)

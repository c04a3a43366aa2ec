"""IPTC-IIM: the block that picture agencies have written since the nineties.

Each entry is a tag marker, a record, a dataset, a length of two bytes and the value (IPTC-NAA
Information Interchange Model 4.2). Knows no field of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from attribution.ingestion.embedded.texts import from_bytes

_MARKER, _UTF8 = 0x1C, b"\x1b%G"
_CHARACTER_SET = (1, 90)


def read_iptc(block: bytes) -> Mapping[tuple[int, int], list[str]]:
    """The texts of each dataset by record and number, in order; of a damaged block what it has."""
    raw: dict[tuple[int, int], list[bytes]] = {}
    position = 0
    while position + 5 <= len(block) and block[position] == _MARKER:
        record, dataset = block[position + 1], block[position + 2]
        length = int.from_bytes(block[position + 3 : position + 5], "big")
        if length & 0x8000:  # of more than 32 KB, which no text here is
            break
        start = position + 5
        value = block[start : start + length]
        if len(value) < length:
            break
        raw.setdefault((record, dataset), []).append(value)
        position = start + length
    utf8 = raw.get(_CHARACTER_SET, [b""])[0] == _UTF8
    return {
        name: [value.decode("utf-8", "replace") if utf8 else from_bytes(value) for value in values]
        for name, values in raw.items()
    }

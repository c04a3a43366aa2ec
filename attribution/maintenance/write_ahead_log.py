"""Reads SQLite's write-ahead log for damage that SQLite itself passes over; opens no database.

SQLite stops at the first frame whose checksum is wrong, as it must after a power cut: what follows
was never acknowledged. Where whole commits follow the bad frame, acknowledged ones are lost, and
opening the catalog would lose even the trace of it. The format is that of
https://sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
import time
from pathlib import Path

_HEADER = 32
_FRAME_HEADER = 24
_MAGIC = 0x377F0682  # the lowest bit says in which order checksums read words
_LOOKS, _LOOK_SECONDS = 4, 0.05
_PAGE_SIZES = {1 << power for power in range(9, 17)}


def lost_commits(log: Path) -> int:
    """How many commits follow the first damaged frame of a log; 0 for a sound one, or none.

    While a service writes, what is read may be of two moments, the end of one round of the log
    behind the beginning of the next. Damage is what is there each time.
    """
    lost = 0
    for _ in range(_LOOKS):
        try:
            lost = _lost_commits(log.read_bytes())
        except FileNotFoundError:
            return 0
        if not lost:
            break
        time.sleep(_LOOK_SECONDS)
    return lost


def _lost_commits(data: bytes) -> int:
    if len(data) < _HEADER:
        return 0
    magic, _, page_size = struct.unpack_from(">III", data)
    order = ">" if magic & 1 else "<"
    if page_size not in _PAGE_SIZES:
        return 1  # not even the size of a frame can be told
    salts = data[16:24]
    size = _FRAME_HEADER + page_size
    running = _checksum(data[: _HEADER - 8], (0, 0), order)
    if magic & ~1 != _MAGIC or running != struct.unpack_from(">II", data, _HEADER - 8):
        return _commits(data[_HEADER:], size, salts)
    for start in range(_HEADER, len(data) - size + 1, size):
        frame = data[start : start + size]
        running = _checksum(frame[:8], running, order)
        running = _checksum(frame[_FRAME_HEADER:], running, order)
        if frame[8:16] != salts or running != struct.unpack_from(">II", frame, 16):
            # The frame itself may be one that a power cut has torn, which nobody was promised.
            return _commits(data[start + size :], size, salts)
    return 0


def _commits(data: bytes, size: int, salts: bytes) -> int:
    """Frames of the log's present round that end a transaction, whatever their checksums say."""
    frames = (data[start : start + size] for start in range(0, len(data) - size + 1, size))
    return sum(frame[8:16] == salts and frame[4:8] != b"\0\0\0\0" for frame in frames)


def _checksum(data: bytes, start: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for left, right in zip(words[::2], words[1::2], strict=True):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return first, second

"""A small file system of its own, to be filled to the last byte."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """`place` with `size` bytes; skips the test where none may be mounted (that takes root)."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, *, but: int = 0) -> Path:
    """Leave `but` bytes free, at most; returns the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        room = os.statvfs(disk)
        left = room.f_bavail * room.f_frsize - but
        for size in (1_000_000, 4096):
            while left >= size:
                try:
                    left -= file.write(b"\0" * size)
                except OSError:
                    break
    return filler

"""Writing files so that a kill or a power cut leaves the old one or the new; knows no catalog."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def flush(path: Path) -> None:
    """Have the disk hold a file's bytes, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def regular_file(path: Path) -> Path:
    """The path, of a file that ends; reading a pipe or a device might not.

    Raises:
        OSError: there is none of this name, or something else, or it is out of reach.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return path


@contextmanager
def new_file(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file to write, on the disk when the block ends; its folder is the caller's to flush.

    Raises:
        FileExistsError: there is one of this name.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(descriptor)


def write_flushed(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a `new_file` as a whole."""
    with new_file(path, mode=mode) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, *, aside: Path | None = None, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` in one step when the block ends, flushed.

    Readers see the old file or the whole new one. Where the block raises, the old one stays. The
    folder is the caller's to flush, once for many files.

    Args:
        path: the file to replace; there need be none yet.
        aside: where it is written first. One that a kill has left there is written anew, so this
            is for a single writer; without it the name is a new one, for any number of writers.
        mode: permissions, less the process's mask.
    """
    if aside is None:
        aside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp")
    else:
        aside.unlink(missing_ok=True)
    try:
        with new_file(aside, mode=mode) as file:
            yield file
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise

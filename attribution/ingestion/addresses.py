"""Files that are known by an address, such as s3://bucket/folder/a.jpg: read by fsspec."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from attribution.ingestion.rows import ManifestUnreadable

DRIVERS = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
"""What reads addresses that begin so, besides fsspec."""


def is_address(text: str) -> bool:
    """Whether a text is an address, and not a path."""
    return "://" in text


@contextmanager
def opened(address: str) -> Iterator[BinaryIO]:
    """A file to read.

    Raises:
        ImportError: what reads such an address is not installed.
        OSError: it cannot be read, whatever its store calls that.
    """
    system, path = system_of(address)
    try:
        file: BinaryIO = system.open(path, "rb")
    except OSError:
        raise
    except Exception as error:  # each store has its own
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}", address) from error
    with file:
        yield _Reading(file)  # type: ignore[misc]  # as much of a BinaryIO as is read


class _Reading:
    """A file of a store whose failures are those of files."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except OSError:
            raise
        except Exception as error:  # the network, in the words of its store
            raise OSError(errno.EIO, f"{type(error).__name__}: {error}") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def system_of(address: str) -> tuple[Any, str]:
    """The store that an address is in, and what it is called there.

    Raises:
        ImportError: what reads such an address is not installed.
        ManifestUnreadable: nothing is known to read it.
    """
    scheme = urlsplit(address).scheme
    driver = DRIVERS.get(scheme)
    needed = "fsspec" if driver is None else f"fsspec {driver}"
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415  # comes with torch

        system, path = url_to_fs(address)
    except ImportError as error:
        raise ImportError(f"{scheme}:// needs what reads it: pip install {needed}") from error
    except ValueError as error:
        raise ManifestUnreadable(f"{address}: {error}") from error
    return system, path

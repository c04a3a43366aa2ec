"""Whether there is a catalog to open; looks at files, opens no database and makes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from attribution.catalog.errors import CatalogMissing, CatalogUnusable

FILE = "catalog.sqlite3"


def address_of(folder: Path, url: str | None) -> str | sa.URL:
    """Where the database of a data folder is, or would be."""
    return url or sa.URL.create("sqlite", database=str(folder / FILE))


def sqlite_file(address: str | sa.URL) -> Path | None:
    """The file of an SQLite address; None of other databases, and of what is no address."""
    try:
        url = sa.make_url(address)
        is_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    except (ArgumentError, ValueError):  # who opens it says so
        return None
    return Path(url.database or "") if is_file else None


def require(folder: Path, url: str | None = None) -> None:
    """Find out before the work that there is something to work on.

    Args:
        folder: the data folder.
        url: of the database, where it is no file of the folder.

    Raises:
        CatalogMissing: no such folder, or no database in it.
        CatalogUnusable: it is out of this user's reach.
    """
    file = sqlite_file(address_of(folder, url))
    try:
        there = folder.is_dir() and (file is None or file.is_file())
        closed = there and not (_readable(folder) and (file is None or os.access(file, os.R_OK)))
    except OSError as error:  # a folder above it is closed to this user
        raise CatalogUnusable(f"{folder} cannot be read: {error.strerror}") from error
    if closed:
        raise CatalogUnusable(
            f"the catalog in {folder} cannot be read: run this as its owner, or have the owner "
            "grant this user permission to read"
        )
    if not there:
        raise CatalogMissing(folder, file)


def require_place(folder: Path) -> None:
    """Find out before the work that a data folder is there, or can be made.

    Raises:
        CatalogUnusable: something else is there, or what it would lie in may not be written.
    """
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        kind = "a link that leads nowhere" if there.is_symlink() else "no folder"
        raise CatalogUnusable(f"there can be no catalog in {folder}: {there} is {kind}")
    if there != folder.absolute() and not os.access(there, os.W_OK | os.X_OK):
        raise CatalogUnusable(f"there can be no catalog in {folder}: {there} may not be written")


def _readable(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)

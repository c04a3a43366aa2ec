"""Which files of a folder are pictures, and what of it is left out: nothing without a word.

Looks at names and at the first bytes of files. Reads as it goes: memory holds the names in the
folders that are open, and which folders were reached by links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from attribution.catalog.presence import FILE
from attribution.folder_lock import NAME
from models.images.formats import HEAD_BYTES, IMAGE_SUFFIXES, PICTURE_SUFFIXES, picture_format

_KEPT_BY_SYSTEMS = {
    "@eadir": "thumbnails and indexes of a Synology NAS",
    "@tmp": "files in the making of a NAS",
    "#recycle": "the recycle bin of a NAS",
    "@recycle": "the recycle bin of a NAS",
    "@recently-snapshot": "snapshots of a NAS",
    "#snapshot": "snapshots of a NAS",
    "~snapshot": "snapshots of a NAS",
    "$recycle.bin": "the recycle bin of Windows",
    "recycler": "the recycle bin of Windows",
    "recycled": "the recycle bin of Windows",
    "found.000": "what a check of a disk has found",
    "lost+found": "what a check of a disk has found",
    "system volume information": "a folder of Windows itself",
    "__macosx": "what macOS adds to archives",
}
_HIDDEN = {
    ".thumbnails": "thumbnails of a desktop",
    ".trash": "a recycle bin",
    ".trashes": "the recycle bin of macOS",
    ".appledouble": "what macOS adds to files",
}
_APPLE_DOUBLE = (b"\0\5\x16\7", b"\0\5\x16\0")


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be read as a picture."""

    path: Path


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture, or a folder of some, that is not read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class NoPicture:
    """A file that is none, by its name and by its first bytes."""

    path: Path


Entry = Found | LeftOut | NoPicture


def is_picture(path: Path) -> bool:
    """Whether a path is a file that is to be read as a picture: by its ending, else its content.

    Raises:
        OSError: it is there, and its first bytes cannot be read.
    """
    if not path.is_file():
        return False
    return named_as_picture(path) or picture_format(_head(path)) is not None


def named_as_picture(path: PurePath) -> bool:
    """Whether the ending of a name says that this is a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def kept_by_a_system(name: str) -> str | None:
    """Why a folder of this name is not looked into; None where it is."""
    lower = name.lower()
    kept = _KEPT_BY_SYSTEMS.get(lower) or _HIDDEN.get(lower)
    if kept is None and lower.startswith("."):
        kept = "a hidden folder"
    return kept and f"{kept}: give this folder itself to read what is in it"


def hidden(path: Path, head: bytes) -> LeftOut | NoPicture:
    """What a file with a dot in front is, by its first bytes."""
    if head.startswith(_APPLE_DOUBLE) or picture_format(head) is None:
        return NoPicture(path)
    return LeftOut(path, "a hidden file: rename it, or name it in a manifest")


def walk(folder: Path) -> Iterator[Entry]:
    """Everything in a folder and in the folders in it, sorted by path; see `Entry`.

    Links to folders are followed, each folder once. What lies in folders that systems keep for
    themselves and in hidden ones is left out, and said once for each of them that has pictures.
    """
    yield from _Walk(folder).entries()


class _Walk:
    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._real_root = Path(os.path.realpath(folder))
        self._followed: list[Path] = []  # real paths of what links have led to

    def entries(self) -> Iterator[Entry]:
        levels = [iter([self._root])]  # of each folder that is open, the paths still to come
        while levels:
            path = next(levels[-1], None)
            if path is None:
                levels.pop()
                continue
            try:
                if path != self._root:
                    entry = self._entry(path)
                    if entry is not None:
                        yield entry
                        continue
                    if path.is_symlink() and self._is_read_anyway(path):
                        continue
                levels.append(iter([path / name for name in _names(path)]))
            except OSError as error:
                yield LeftOut(path, f"cannot be read ({error.strerror or error})")

    def _entry(self, path: Path) -> Entry | None:
        """What a path is; None for a folder that is to be opened."""
        mode = _mode(path)
        if mode is None:
            return LeftOut(path, f"a link that leads nowhere, to {path.readlink()}")
        if not stat.S_ISDIR(mode):
            return _file(path, mode)
        if (kept := kept_by_a_system(path.name) or _kept_by_us(path)) is not None:
            return LeftOut(path, kept) if _has_pictures(path) else NoPicture(path)
        if path.is_symlink() and self._leads_back(path):
            return LeftOut(path, "a link back to a folder that it lies in")
        return None

    def _leads_back(self, link: Path) -> bool:
        """Whether following a link would go round in a circle."""
        target, here = Path(os.path.realpath(link)), Path(os.path.realpath(link.parent))
        return here.is_relative_to(target) or self._real_root.is_relative_to(target)

    def _is_read_anyway(self, link: Path) -> bool:
        """Whether what a link leads to is in the folder itself, or was reached by another link."""
        target = Path(os.path.realpath(link))
        if any(target.is_relative_to(there) for there in (self._real_root, *self._followed)):
            return True
        self._followed.append(target)
        return False


def _kept_by_us(folder: Path) -> str | None:
    """Why a data folder or a backup of one is not looked into, with the previews in it."""
    if not any((folder / name).is_file() for name in (FILE, NAME)):
        return None
    return "a data folder or a backup of one: what is held was ingested before"


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _mode(path: Path) -> int | None:
    """What a path is, links followed; None for a link that leads nowhere, or in a circle."""
    try:
        return path.stat().st_mode
    except OSError:
        if path.is_symlink():
            return None
        raise


def _file(path: Path, mode: int) -> Entry:
    named = named_as_picture(path)
    if not stat.S_ISREG(mode):
        return LeftOut(path, "no regular file") if named else NoPicture(path)
    if path.name.startswith("."):
        return hidden(path, _head(path))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Found(path)
    return Found(path) if named or picture_format(_head(path)) is not None else NoPicture(path)


def _has_pictures(folder: Path) -> bool:
    """Whether a folder that is left out has any; one that cannot be looked into may have."""
    closed: list[OSError] = []
    for where, _, names in os.walk(folder, onerror=closed.append):
        for name in names:
            if name.startswith("._"):  # what macOS says of a file
                continue
            if Path(name).suffix.lower() in PICTURE_SUFFIXES:
                return True
            try:
                path = Path(where) / name
                if path.is_file() and picture_format(_head(path)) is not None:
                    return True
            except OSError:
                return True
    return bool(closed)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)

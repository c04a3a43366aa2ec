"""Pictures in a tar file, and what of it is left out, by the rules of a folder. Decodes none.

A tar file ends where it says so: what was cut short or damaged on the way is no smaller archive.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from attribution.ingestion.folders import (
    LeftOut,
    NoPicture,
    hidden,
    kept_by_a_system,
    named_as_picture,
)
from models.images.formats import HEAD_BYTES, picture_format

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1_048_576
_MOST_LINKS = 8
_DAMAGED = (tarfile.TarError, EOFError, BadGzipFile, zlib.error, LZMAError)


class ArchiveDamaged(ValueError):
    """No tar file, or not all of one; the message names it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A picture: its name in the archive, and where its bytes are, which a link may lend it."""

    name: str
    content: tarfile.TarInfo


@contextmanager
def open_tar(
    path: Path, *, plain: bool = False, file: BinaryIO | None = None
) -> Iterator[tarfile.TarFile]:
    """A tar file to read.

    Args:
        path: of the file.
        plain: refuse a compressed one, of which offsets would say nothing.
        file: it, opened already; then `path` is only what it is called.

    Raises:
        ArchiveDamaged: it is none, or what is read of it in the block is damaged.
        OSError: it cannot be read.
    """
    try:
        with tarfile.open(path, "r:" if plain else "r", fileobj=file) as archive:
            yield archive
    except _DAMAGED as error:
        reason = str(error).partition("\n")[0].removesuffix(":")
        raise ArchiveDamaged(f"{path} is no tar file, or damaged: {reason}") from error


def pictures_in(archive: tarfile.TarFile) -> Iterator[Member | LeftOut]:
    """The pictures of an archive in the order of their names, and what is left out of it.

    Of several members of one name the last holds, as for whoever unpacks it.

    Raises:
        ArchiveDamaged: its end is missing, or something else follows it.
        tarfile.TarError, EOFError: as of `open_tar`, around which it becomes an ArchiveDamaged.
    """
    by_name = {member.name: member for member in archive}
    require_end(archive)
    told: set[str] = set()
    for name in sorted(by_name):
        entry = entry_of(archive, by_name, by_name[name])
        if isinstance(entry, LeftOut):
            if str(entry.path) in told:  # a folder, once for all that is in it
                continue
            told.add(str(entry.path))
        if not isinstance(entry, NoPicture):
            yield entry


def read(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int = -1) -> bytes:
    """The bytes of a regular member, or the first of them."""
    stream = archive.extractfile(member)
    return b"" if stream is None else stream.read(most)


def require_end(archive: tarfile.TarFile) -> None:
    """Find out, once its members were gone through, whether all of an archive is there.

    The reader takes a damaged header behind the first one for the end.

    Raises:
        ArchiveDamaged: reading has stopped at something other than the end mark.
    """
    file, path = archive.fileobj, os.fsdecode(archive.name or "it")
    file.seek(archive.offset)
    if file.read(_BLOCK) != bytes(_BLOCK):
        raise ArchiveDamaged(f"{path} is cut short or damaged: its end mark is missing")
    while rest := file.read(_CHUNK):
        if any(rest):
            raise ArchiveDamaged(
                f"{path} goes on behind its end mark, as files do that were joined: give "
                "each of them by itself"
            )


def entry_of(
    archive: tarfile.TarFile, by_name: Mapping[str, tarfile.TarInfo], member: tarfile.TarInfo
) -> Member | LeftOut | NoPicture:
    """What a member is; `by_name` are those that a link may lead to."""
    path = PurePosixPath(member.name)
    content = _content(by_name, member)
    if content is None:
        return LeftOut(Path(member.name), f"a link that leads nowhere, to {member.linkname}")
    if content.isdir():
        return NoPicture(Path(member.name))
    named = named_as_picture(path)
    if not content.isfile():
        return LeftOut(Path(path), "no regular file") if named else NoPicture(Path(path))
    head = read(archive, content, HEAD_BYTES)
    picture = named or picture_format(head) is not None
    for depth, folder in enumerate(path.parts[:-1], start=1):
        if (kept := kept_by_a_system(folder)) is not None:
            where = Path(*path.parts[:depth])
            return LeftOut(where, kept) if picture else NoPicture(where)
    if path.name.startswith("."):
        return hidden(Path(path), head)
    return Member(member.name, content) if picture else NoPicture(Path(path))


def _content(
    by_name: Mapping[str, tarfile.TarInfo], member: tarfile.TarInfo
) -> tarfile.TarInfo | None:
    """The member itself, or what a link leads to in the same archive; None for nowhere."""
    for _ in range(_MOST_LINKS):
        if member.islnk():
            target = member.linkname
        elif member.issym():
            folder = posixpath.dirname(member.name)
            target = posixpath.normpath(posixpath.join(folder, member.linkname))
        else:
            return member
        found = by_name.get(target)
        if found is None:
            return None
        member = found
    return None

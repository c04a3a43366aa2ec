"""Zip archives of images: checked as a whole before a byte is unpacked; decodes no image.

Sizes in an archive are claims of its sender. They are added up before unpacking, and nothing
beyond them is written.
"""

from __future__ import annotations

import errno
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO

from app.problems.problem import Problem
from app.settings.limits import Limits
from attribution.catalog import NewItem
from attribution.catalog.jobs.inputs import Incoming

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""How a file begins that is an archive; no image does."""
_END = struct.Struct("<4s4H2LH")  # end of central directory, APPNOTE 4.3.16
_END_MAGIC = b"PK\x05\x06"
_LOCATOR_MAGIC, _LOCATOR_SIZE = b"PK\x06\x07", 20  # of the zip64 record before it
_LONGEST_COMMENT = 65_535
# Name and extra fields of one member; more than this on average is not a list of image files.
_DIRECTORY_BYTES_A_MEMBER = 512
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40
_CHUNK = 1_048_576
_NO_NAMES = {"", ".", ".."}
_OF_DESKTOPS = re.compile(
    r"\.DS_Store|\._.*|\.localized|Icon\r|e?h?thumbs(_vista)?\.db|desktop\.ini|\.directory"
    r"|\.?picasa\.ini",
    re.IGNORECASE | re.DOTALL,
)
_FOLDERS_OF_DESKTOPS = {"__macosx", ".appledouble", "@eadir"}
# For each file a desktop may put one beside it, and a folder: read before they are told apart.
_PACKAGING = 2
_PACKAGING_ANYWAY = 16
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


def unpack(archive: Path, incoming: Incoming, limits: Limits) -> list[NewItem]:
    """Write each member of an archive as an item of a new job, in the archive's order.

    A member larger than an image may be is not written: its item will say so.

    Raises:
        Problem: 413 for too many members, 422 for an archive that is refused, saying why.
    """
    try:
        with archive.open("rb") as file:
            _check_end(file, archive.stat().st_size, limits)
            with zipfile.ZipFile(file) as opened:
                return _unpack(opened, incoming, limits)
    except _DAMAGED as error:
        raise _refused("it is damaged or no zip archive") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # an offset in it points before its beginning
            raise _refused("it is damaged") from error
        raise


def _unpack(opened: zipfile.ZipFile, incoming: Incoming, limits: Limits) -> list[NewItem]:
    members = [member for member in opened.infolist() if not _is_packaging(member)]
    if not members:
        raise _refused("it holds no files")
    if len(members) > limits.max_job_images:
        raise _too_many(len(members), limits)
    top = _top_folder(members)
    for member in members:
        if reason := _why_not(member, top):
            raise _refused(f"its member {member.filename[:200]!r} {reason}")
    total = sum(member.file_size for member in members)
    if total > limits.max_job_bytes:
        raise _refused(
            f"unpacked it has {total / 1e6:,.0f} MB, more than the "
            f"{limits.max_job_bytes / 1e6:,.0f} MB allowed"
        )
    for position, member in enumerate(members):
        if member.file_size <= limits.max_image_bytes:
            with opened.open(member) as packed, incoming.path(position).open("xb") as out:
                _copy(packed, out)
    return [NewItem(_parts(member.filename)[-1], member.file_size) for member in members]


def _is_packaging(member: zipfile.ZipInfo) -> bool:
    """Whether it is no file of the sender's, but what a desktop puts beside those, or a folder."""
    path = _path(member)
    if not path[-1]:
        return member.file_size == 0
    folders = {folder.lower() for folder in path[:-1]}
    return bool(folders & _FOLDERS_OF_DESKTOPS or _OF_DESKTOPS.fullmatch(path[-1]))


def _path(member: zipfile.ZipInfo) -> list[str]:
    return _parts(member.orig_filename)  # with what a NUL in it would hide


def _parts(name: str) -> list[str]:
    parts = name.replace("\\", "/").split("/")
    here = next((at for at, part in enumerate(parts[:-1]) if part != "."), len(parts) - 1)
    return parts[here:]  # some write every name with `./` in front


def _top_folder(members: Sequence[zipfile.ZipInfo]) -> str | None:
    """The one folder that all lie in, as when somebody packs a folder; None where there is none."""
    first = _path(members[0])
    together = all(len(path) == 2 and path[0] == first[0] for path in map(_path, members))
    plain = first[0] not in _NO_NAMES and "\0" not in first[0]
    return first[0] if together and plain else None


def _why_not(member: zipfile.ZipInfo, top: str | None) -> str | None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    path = _path(member)
    *folders, name = path[1:] if path[0] == top and len(path) > 1 else path
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted; send it without a password"
    if kind == stat.S_IFLNK:
        return "is a symbolic link; send the file itself"
    if folders or name in _NO_NAMES:
        return (
            "lies in a folder; put the images at the top of the archive (zip -j), or all of them "
            "in one folder there"
        )
    if kind not in {0, stat.S_IFREG}:
        return "is no regular file"
    if member.compress_type not in _METHODS:
        return "is packed in an unusual way; use deflate, or store it"
    return None


def _check_end(file: BinaryIO, size: int, limits: Limits) -> None:
    """Refuse a directory too long to be read into memory, before it is read.

    Raises:
        Problem: it has too many members, or is in the format for more than 65,535 of them.
    """
    tail_size = min(size, _END.size + _LONGEST_COMMENT + _LOCATOR_SIZE)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(_END_MAGIC)
    if tail[-_END.size :].startswith(_END_MAGIC) and tail.endswith(b"\0\0"):
        at = len(tail) - _END.size  # the reader prefers an end without a comment
    if at < 0 or len(tail) < at + _END.size:
        raise _refused("it is damaged or no zip archive")
    if tail[max(0, at - _LOCATOR_SIZE) : at].startswith(_LOCATOR_MAGIC):
        raise _refused("it is in the zip64 format; send a plain zip, or split it")
    _, _, _, _, members, directory_bytes, _, _ = _END.unpack_from(tail, at)
    most = _PACKAGING * limits.max_job_images + _PACKAGING_ANYWAY
    if members > most:
        raise _too_many(members, limits)
    if directory_bytes > _DIRECTORY_BYTES_A_MEMBER * max(most, 128):
        raise _refused("its list of members is too long")


def _copy(packed: IO[bytes], out: BinaryIO) -> None:
    while chunk := packed.read(_CHUNK):
        out.write(chunk)


def _too_many(members: int, limits: Limits) -> Problem:
    return Problem(
        "too-many-images",
        f"The archive has {members:,} members, more than the {limits.max_job_images:,} allowed in "
        "a job.",
    )


def _refused(reason: str) -> Problem:
    return Problem("archive-refused", f"The archive is refused: {reason}.")

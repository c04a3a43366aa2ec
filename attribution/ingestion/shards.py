"""Tar files of pictures as rows, with what their neighbours say of each, as in webdataset.

Members of one folder whose names are alike up to the first dot stand side by side and are one
sample: `0001.jpg`, `0001.json`, `0001.txt`. Memory holds one sample, and of one that is larger than
samples are so much as `_PICTURES_HELD` pictures of the largest size may take; what follows the
pictures that are given away so says nothing of them.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from attribution.ingestion.addresses import is_address, opened
from attribution.ingestion.archives import (
    ArchiveDamaged,
    Member,
    entry_of,
    open_tar,
    read,
    require_end,
)
from attribution.ingestion.columns import spelt
from attribution.ingestion.folders import LeftOut
from attribution.ingestion.manifest import BadLine, parse_object
from attribution.ingestion.rows import ManifestProblem, ManifestRow, as_text

_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_TEXTS = ("title", "creator", "licence", "uri")
_MOST_SAID = 1_000_000
_LONGEST_TITLE = 512
_PICTURES_HELD = 4


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file that has not been looked into.

    `address` is its path or address, `path` what it is called in reports.
    """

    address: str
    path: Path
    collection: str = "default"


@dataclass(slots=True)
class _Sample:
    key: str = ""
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    caption: str = ""
    left_out: list[ManifestProblem] = field(default_factory=list)
    unheard: list[ManifestProblem] = field(default_factory=list)
    held: int = 0
    """Bytes of its pictures."""

    def add(self, name: str, content: bytes) -> None:
        """One more picture."""
        self.pictures.append((name, content))
        self.held += len(content)


def named_as_tar(name: str) -> bool:
    """Whether the ending of a name says that this is a tar file that can be read."""
    return name.lower().endswith(_ENDINGS)


def expanded(
    rows: Iterable[ManifestRow | ManifestProblem | Shard], *, max_bytes: int
) -> Iterator[ManifestRow | ManifestProblem]:
    """The same rows, with those of each tar file in its place."""
    for row in rows:
        if isinstance(row, Shard):
            yield from rows_in(row, max_bytes=max_bytes)
        else:
            yield row


def rows_in(
    shard: Shard, *, max_bytes: int, folder: Path | None = None
) -> Iterator[ManifestRow | ManifestProblem]:
    """The pictures of a tar file, with their bytes, in its order; what is wrong with it follows.

    A sample's `.json` is an object whose names mean what the columns of a spreadsheet mean; others
    become metadata. Its `.txt` is the title where that gives none, or metadata where it is too
    long. The uri is the one stated, or how fsspec names the member.

    Args:
        shard: the file.
        max_bytes: of a picture; of a larger one one byte more is read, to be refused.
        folder: where a path starts that is not absolute; None for the working folder.
    """
    read_before = ""
    try:
        with (
            _file(shard.address, folder) as file,
            open_tar(shard.path, file=file) as archive,
        ):
            for row in _rows(archive, shard, max_bytes):
                read_before = "; what is before that was read"
                yield row
    except ArchiveDamaged as error:
        yield ManifestProblem(0, f"{error}{read_before}", shard.path)
    except OSError as error:
        yield ManifestProblem(0, f"cannot be read ({error.strerror or error})", shard.path)


def _file(address: str, folder: Path | None) -> AbstractContextManager[BinaryIO]:
    if is_address(address):
        return opened(address)
    return (Path(address) if folder is None else folder / address).open("rb")


def _rows(
    archive: tarfile.TarFile, shard: Shard, max_bytes: int
) -> Iterator[ManifestRow | ManifestProblem]:
    by_name: dict[str, tarfile.TarInfo] = {}
    told: set[Path] = set()
    sample = _Sample()
    for info in archive:
        by_name[info.name] = info
        key = _key(info.name)
        if key != sample.key:
            yield from _finished(sample, shard)
            sample = _Sample(key)
        entry = entry_of(archive, by_name, info)
        match entry:
            case Member(name, content):
                sample.add(name, read(archive, content, max_bytes + 1))
                if sample.held > _PICTURES_HELD * max_bytes:
                    yield from _finished(sample, shard)
                    sample = _Sample(key, said=sample.said, caption=sample.caption)
            case LeftOut(path, reason):
                if path not in told:
                    told.add(path)
                    sample.left_out.append(ManifestProblem(0, reason, shard.path / path))
            case _ if info.isfile():
                _listen(archive, info, sample, shard)
    yield from _finished(sample, shard)
    require_end(archive)


def _listen(archive: tarfile.TarFile, info: tarfile.TarInfo, sample: _Sample, shard: Shard) -> None:
    """What a member that is no picture says of those of its sample."""
    ending = PurePosixPath(info.name).name.partition(".")[2].lower()
    try:
        if ending == "json":
            sample.said = parse_object(read(archive, info, _MOST_SAID + 1))
        elif ending == "txt":
            sample.caption = read(archive, info, _MOST_SAID).decode("utf-8-sig").strip()
    except (BadLine, UnicodeDecodeError) as error:
        reason = f"says nothing of its picture: {error}"
        sample.unheard.append(ManifestProblem(0, reason, shard.path / info.name))


def _finished(sample: _Sample, shard: Shard) -> Iterator[ManifestRow | ManifestProblem]:
    stated = _stated(sample.said, sample.caption) if sample.pictures else {}
    for name, content in sample.pictures:
        yield ManifestRow(
            path=shard.path / name,
            uri=stated.get("uri", f"tar://{as_text(name)}::{as_text(shard.address)}"),
            collection=shard.collection,
            stated=stated,
            content=content,
        )
    yield from sample.left_out
    if sample.pictures:
        yield from sample.unheard


def _stated(said: Mapping[str, Any], caption: str) -> dict[str, Any]:
    """The fields of a source that a sample gives."""
    stated: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in said.items():
        if value in (None, {}, []) or (isinstance(value, str) and not value.strip()):
            continue
        meant = spelt(name)
        if meant in _TEXTS and isinstance(value, str):
            stated.setdefault(meant, value.strip())
        elif meant == "metadata" and isinstance(value, dict):
            metadata = {**metadata, **value}
        elif meant not in ("path", "collection"):
            metadata.setdefault(name if meant in (None, *_TEXTS, "metadata") else meant, value)
    if caption and "title" not in stated and len(caption) <= _LONGEST_TITLE:
        stated["title"] = caption
    elif caption and caption != stated.get("title"):
        metadata.setdefault("caption", caption)
    return stated | ({"metadata": metadata} if metadata else {})


def _key(name: str) -> str:
    """What the members of a sample have in common."""
    path = PurePosixPath(name)
    return f"{path.parent}/{path.name.partition('.')[0]}"

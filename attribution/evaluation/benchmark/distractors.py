"""Gallery images that are the source of nothing: a folder of images, or of tar shards.

Images in tar files are found once and then read from their place in the file, so that any of them
can be opened again, in any order, and none is held in memory.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Picture,
    file_picture,
    unreadable_picture,
)
from attribution.ingestion.archives import ArchiveDamaged, Member, open_tar, pictures_in
from attribution.ingestion.folders import Found, LeftOut, walk

INDEX = "index.jsonl"
_PREFIX = "distractor:"  # keeps their keys apart from those of sources


def read_distractors(path: Path) -> tuple[Picture, ...]:
    """Read which distractors there are; pixels are read when asked for.

    Args:
        path: a folder of images, searched recursively, or of `.tar` files, or of both; or one
            `.tar`. Beside `.tar` files an `index.jsonl` says which `file`s in them are a
            `distractor`, and then nothing else is one.

    Raises:
        BadBenchmark: nothing there, or a broken index or archive.
    """
    shards = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if path.suffix == ".tar" or path.is_dir():
        marked = _marked(path / INDEX) if shards and (path / INDEX).is_file() else None
        pictures = [picture for shard in shards for picture in _members(shard, marked)]
        if path.is_dir() and marked is None:
            pictures += _files(path)
    else:
        raise BadBenchmark(f"{path}: give a folder of images or of tar files as distractors")
    if not pictures:
        raise BadBenchmark(f"{path}: no distractors in it")
    return tuple(pictures)


def _files(folder: Path) -> list[Picture]:
    pictures = []
    for entry in walk(folder):
        key = _PREFIX + entry.path.relative_to(folder).as_posix()
        if isinstance(entry, Found):
            pictures.append(file_picture(key, entry.path))
        elif isinstance(entry, LeftOut):
            pictures.append(unreadable_picture(key, str(entry.path), entry.reason))
    return pictures


def _marked(index: Path) -> frozenset[str]:
    """Names of the files that the index marks as distractors."""
    marked = set()
    for number, line in enumerate(index.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
            if row["distractor"]:
                marked.add(str(row["file"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadBenchmark(
                f'{index}, line {number}: needs an object with "file" and "distractor"'
            ) from error
    return frozenset(marked)


def _members(shard: Path, marked: frozenset[str] | None) -> list[Picture]:
    """Images of one tar file, in the order of their names."""
    try:
        with open_tar(shard, plain=True) as archive:
            found = list(pictures_in(archive))
    except FileNotFoundError as error:
        raise BadBenchmark(f"{shard}: no such file") from error
    except ArchiveDamaged as error:
        raise BadBenchmark(str(error)) from error
    return [
        _member(shard, entry) if isinstance(entry, Member) else _left_out(shard, entry)
        for entry in found
        if marked is None or _name(entry) in marked
    ]


def _name(entry: Member | LeftOut) -> str:
    return entry.name if isinstance(entry, Member) else entry.path.as_posix()


def _member(shard: Path, member: Member) -> Picture:
    where = partial(_read_member, shard, member.content.offset_data, member.content.size)
    return Picture(f"{_PREFIX}{shard.name}/{member.name}", f"{member.name} in {shard}", where)


def _left_out(shard: Path, entry: LeftOut) -> Picture:
    key = f"{_PREFIX}{shard.name}/{entry.path.as_posix()}"
    return unreadable_picture(key, f"{entry.path} in {shard}", entry.reason)


def _read_member(shard: Path, offset: int, size: int) -> bytes:
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(size)

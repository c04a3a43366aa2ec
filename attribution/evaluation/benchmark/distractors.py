"""Gallery images that are the source of nothing: a folder of images, or of tar shards.

Images in tar files are found once and then read from their place in the file, so that any of them
can be opened again, in any order, and none is held in memory.
"""

from __future__ import annotations

import json
import tarfile
from functools import partial
from pathlib import Path

from attribution.evaluation.benchmark.cases import BadBenchmark, Picture, file_picture
from attribution.ingestion.folders import Found, LeftOut, is_picture_in_archive, walk
from models.images.formats import HEAD_BYTES

INDEX = "index.jsonl"
_PREFIX = "distractor:"  # keeps their keys apart from those of sources


def read_distractors(path: Path) -> tuple[Picture, ...]:
    """Read which distractors there are; pixels are read when asked for.

    Args:
        path: a folder of images, searched recursively; or a folder of `.tar` files, whose
            `index.jsonl`, if there is one, says which `file`s are a `distractor`; or one `.tar`.

    Raises:
        BadBenchmark: nothing there, or a broken index or archive.
    """
    shards = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if path.is_dir() and not shards:
        pictures = _files(path)
    elif path.suffix == ".tar" or path.is_dir():
        marked = _marked(path / INDEX) if (path / INDEX).is_file() else None
        pictures = [picture for shard in shards for picture in _members(shard, marked)]
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
            pictures.append(Picture(key, str(entry.path), partial(_refuse, entry)))
    return pictures


def _refuse(entry: LeftOut) -> bytes:
    raise BadBenchmark(f"{entry.path}: {entry.reason}")


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
    """Images of one tar file, in its order."""
    try:
        with tarfile.open(shard) as archive:
            return [
                Picture(
                    f"{_PREFIX}{shard.name}/{member.name}",
                    f"{member.name} in {shard}",
                    partial(_read_member, shard, member.offset_data, member.size),
                )
                for member in archive
                if member.isfile()
                and (marked is None or member.name in marked)
                and is_picture_in_archive(
                    member.name,
                    partial(_read_member, shard, member.offset_data, min(member.size, HEAD_BYTES)),
                )
            ]
    except FileNotFoundError as error:
        raise BadBenchmark(f"{shard}: no such file") from error
    except tarfile.TarError as error:
        raise BadBenchmark(f"{shard}: {error}") from error


def _read_member(shard: Path, offset: int, size: int) -> bytes:
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(size)

"""What to ingest, row by row: the images of a folder, or a JSON Lines manifest.

Knows file names and what is said about them, not what is in the images. Reads as it goes: memory
holds a line of a manifest, or the names in the folders that are open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from models.images.decoding import IMAGE_SUFFIXES

_TEXTS = ("path", "uri", "title", "creator", "licence", "collection")
_FIELDS = (*_TEXTS, "metadata")
_STATED = ("title", "creator", "licence", "uri", "metadata")
_MAX_LINE = 1_000_000


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One file and what is stated about it.

    `path` is where to read the file; `uri` is what answers name it by. `stated` are the fields of
    a source that the row gives. A uri that is only the path is none of them: it never replaces one
    that someone has set.
    """

    path: Path
    uri: str
    collection: str = "default"
    stated: dict[str, Any] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """A line that says nothing usable, or (line 0) a folder that cannot be listed."""

    line: int
    reason: str
    path: Path


class ManifestUnreadable(ValueError):
    """There is no folder or manifest to read; the message says what to give instead."""


def read_manifest(
    path: Path, *, collection: str = "default"
) -> Iterator[ManifestRow | ManifestProblem]:
    """Read the rows of a folder or of a JSON Lines manifest, lazily and in a stable order.

    A folder gives its image files, those of its folders among them, sorted by path; hidden ones and
    links to folders are left out. A manifest gives a row a line: `path` (required, relative to the
    manifest), `uri` (default: the path as written), `title`, `creator`, `licence`, `collection`,
    `metadata` (a JSON object). null is the same as absent. What is wrong with a line becomes a
    `ManifestProblem`, and reading goes on.

    Args:
        path: the folder, or the manifest.
        collection: of the rows that name none.

    Raises:
        ManifestUnreadable: `path` is neither; raised at once, not with the first row.
    """
    if path.is_dir():
        return _read_folder(path, collection)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise ManifestUnreadable(f"{path} is an image: give the folder it is in, or a manifest.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ManifestUnreadable(
            f"{path} cannot be read ({error.strerror}): give a folder or a JSON Lines manifest."
        ) from error
    return _read_lines(file, path, collection)


def _read_folder(folder: Path, collection: str) -> Iterator[ManifestRow | ManifestProblem]:
    levels = [iter([folder])]  # of each folder that is open, the paths still to come
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
            continue
        try:
            if path == folder or (path.is_dir() and not path.is_symlink()):
                levels.append(map(path.joinpath, _visible_names(path)))
                continue
            wanted = path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        except OSError as error:
            yield ManifestProblem(0, f"cannot be read ({error.strerror})", path)
            continue
        if wanted:
            yield ManifestRow(path, str(path), collection)


def _visible_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))


def _read_lines(
    file: BinaryIO, manifest: Path, collection: str
) -> Iterator[ManifestRow | ManifestProblem]:
    with file:
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            try:
                yield _row(_parse(line), manifest, number, collection)
            except _BadLine as error:
                yield ManifestProblem(number, str(error), manifest)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, none longer than one byte beyond `_MAX_LINE`."""
    while line := file.readline(_MAX_LINE + 1):
        rest = line
        while len(rest) > _MAX_LINE and not rest.endswith(b"\n"):
            rest = file.readline(_MAX_LINE + 1)
        yield line


class _BadLine(ValueError):
    """Why a line is unusable."""


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > _MAX_LINE:
        raise _BadLine(f"longer than {_MAX_LINE:,} bytes")
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant)
        # Also finds what Python's JSON lets through: 1e999 and halves of surrogate pairs.
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError:
        raise _BadLine("not valid UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _BadLine(f"not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise _BadLine('not a JSON object such as {"path": "a.jpg"}')
    return row


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _row(stated: Mapping[str, Any], manifest: Path, number: int, collection: str) -> ManifestRow:
    if unknown := sorted(set(stated) - set(_FIELDS)):
        raise _BadLine(f"unknown field {unknown[0]!r}; known are {', '.join(_FIELDS)}")
    values = {name: value for name, value in stated.items() if value is not None}
    for name in _TEXTS:
        if not isinstance(values.get(name, ""), str):
            raise _BadLine(f"{name} must be a string")
        if "\0" in values.get(name, ""):
            raise _BadLine(f"{name} contains a NUL character")
    if not isinstance(values.get("metadata", {}), dict):
        raise _BadLine("metadata must be a JSON object")
    written = values.get("path")
    if not written:
        raise _BadLine("path is missing")
    return ManifestRow(
        path=manifest.parent / written,
        uri=values.get("uri", written),
        collection=values.get("collection", collection),
        # Empty metadata states nothing, as null does.
        stated={name: values[name] for name in _STATED if values.get(name) not in (None, {})},
        line=number,
    )

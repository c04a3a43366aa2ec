"""What to ingest, row by row: the images of a folder, a JSON Lines manifest or a spreadsheet.

Knows files and what is said about them, not what is in the images. Reads as it goes: memory
holds a line of a manifest, or the names in the folders that are open.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from attribution.ingestion.folders import (
    Found,
    LeftOut,
    NoPicture,
    is_picture,
    named_as_picture,
    walk,
)
from attribution.ingestion.rows import ManifestProblem, ManifestRow, ManifestUnreadable, as_text
from attribution.ingestion.spreadsheets import (
    Cells,
    Spreadsheet,
    is_spreadsheet,
    open_spreadsheet,
)
from attribution.opt_out import DATA_MINING, DO_NOT_TRAIN

_TEXTS = ("path", "uri", "title", "creator", "licence", "collection")
_FIELDS = (*_TEXTS, "metadata")
_IN_METADATA = {"copyright", DATA_MINING, DO_NOT_TRAIN}
"""Columns of a spreadsheet that are known but no field."""
_STATED = ("title", "creator", "licence", "uri", "metadata")
_MAX_LINE = 1_000_000
_HEAD = 65_536
_TRIED_BYTES = _MAX_LINE
"""So many without a line that names a path, and a file is taken for something else."""


def read_manifest(
    path: Path,
    *,
    collection: str = "default",
    on_other: Callable[[Path], None] | None = None,
    on_sheet: Callable[[Spreadsheet], None] | None = None,
) -> Iterator[ManifestRow | ManifestProblem]:
    """Read the rows of a folder or of a manifest, lazily and in a stable order.

    A folder gives its pictures, those of its folders among them, sorted by path, and a problem for
    each that is left out; `walk` says what that is. A manifest gives a row a line: `path`
    (required, relative to the manifest), `uri` (default: the path as written), `title`, `creator`,
    `licence`, `collection`, `metadata` (a JSON object). null is the same as absent. What is wrong
    with a line becomes a `ManifestProblem`, and reading goes on.

    A manifest may be a spreadsheet, too, exported as CSV, whose columns say the same by their
    names; see `spreadsheets`. One that is damaged anywhere is refused before its first row.

    Args:
        path: the folder, or the manifest.
        collection: of the rows that name none.
        on_other: told of each file of a folder that is no picture.
        on_sheet: told of the spreadsheet, and so how it is read.

    Raises:
        ManifestUnreadable: `path` is neither; raised at once, not with the first row.
    """
    try:
        if path.is_dir():
            return _read_folder(path, collection, on_other)
        if is_picture(path):
            raise ManifestUnreadable(
                f"{path} is an image: give the folder it is in, or a manifest."
            )
        if named_as_picture(path) and path.exists():  # a pipe, which may never give a byte
            raise ManifestUnreadable(f"{path} is no regular file: give a folder, or a manifest.")
        file = path.open("rb")
    except OSError as error:
        raise ManifestUnreadable(
            f"{path} cannot be read ({error.strerror}): give a folder or a JSON Lines manifest."
        ) from error
    try:
        if path.is_file() and _is_sheet(path, file):
            file.close()
            sheet = open_sheet(path)
            if on_sheet is not None:
                on_sheet(sheet)
            return (row_of(cells, sheet, collection) for cells in sheet.rows())
        begun = _begun(file, path)
    except BaseException:
        file.close()
        raise
    return _read_lines(file, begun, path, collection)


def _read_folder(
    folder: Path, collection: str, on_other: Callable[[Path], None] | None
) -> Iterator[ManifestRow | ManifestProblem]:
    for entry in walk(folder):
        match entry:
            case Found(path):
                yield ManifestRow(path, as_text(path), collection)
            case LeftOut(path, reason):
                yield ManifestProblem(0, reason, path)
            case NoPicture(path):
                if on_other is not None:
                    on_other(path)


def _begun(file: BinaryIO, manifest: Path) -> list[bytes]:
    """The first lines of a manifest, up to one that is a JSON object with a path.

    Raises:
        ManifestUnreadable: there is none among them, so the file is something else.
    """
    begun: list[bytes] = []
    problem, size = None, 0
    for line in _lines(file):
        begun.append(line)
        size += len(line)
        try:
            if line.strip():
                _path(parse_object(line))
                return begun
        except BadLine as error:
            problem = problem or str(error)
        if size > _TRIED_BYTES:
            break
    if problem is not None:
        raise ManifestUnreadable(
            f"{manifest} is no JSON Lines manifest, whose lines are objects such as "
            f'{{"path": "a.jpg"}}; its first line: {problem}. Give a folder or such a manifest.'
        )
    return begun


def open_sheet(path: Path) -> Spreadsheet:
    """See `open_spreadsheet`; what is wrong with it is a ManifestUnreadable."""
    try:
        return open_spreadsheet(path)
    except OSError as error:
        raise ManifestUnreadable(
            f"{path} cannot be read ({error.strerror}): give a file that can."
        ) from error


def row_of(cells: Cells, sheet: Spreadsheet, collection: str) -> ManifestRow | ManifestProblem:
    """What a row of a spreadsheet states; columns that mean nothing else become metadata."""
    values: dict[str, Any] = dict(cells.values)
    try:
        metadata = _metadata_of(values.pop("metadata", None))
        for name in _IN_METADATA & values.keys():
            metadata.setdefault(name, values.pop(name))
        values["metadata"] = {**cells.others, **metadata}
        values["path"] = _on_this_system(sheet.path.parent, _path(values))
        return _row(values, sheet.path, cells.line, collection)
    except BadLine as error:
        return ManifestProblem(cells.line, str(error), sheet.path)


def _metadata_of(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return parse_object(text.encode())
    except BadLine as error:
        raise BadLine(f"metadata: {error}") from None


def _on_this_system(folder: Path, written: str) -> str:
    """A path as it is written on Windows, where it means a file here only without backslashes."""
    try:
        is_there = "\\" not in written or (folder / written).exists()
    except OSError:  # a name that no file can have
        is_there = False
    return written if is_there else written.replace("\\", "/")


def _is_sheet(path: Path, file: BinaryIO) -> bool:
    """Whether a file means to be a spreadsheet; its place in the file stays."""
    head = file.read(_HEAD)
    file.seek(0)
    begins = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return begins != b"{" and is_spreadsheet(path, head)


def _read_lines(
    file: BinaryIO, begun: Iterable[bytes], manifest: Path, collection: str
) -> Iterator[ManifestRow | ManifestProblem]:
    with file:
        for number, line in enumerate(chain(begun, _lines(file)), start=1):
            if not line.strip():
                continue
            try:
                yield _row(parse_object(line), manifest, number, collection)
            except BadLine as error:
                yield ManifestProblem(number, str(error), manifest)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, none longer than one byte beyond `_MAX_LINE`.

    The rest of a longer one is passed over when the next is asked for: it may never end.
    """
    while line := file.readline(_MAX_LINE + 1):
        yield line
        while len(line) > _MAX_LINE and not line.endswith(b"\n"):
            line = file.readline(_MAX_LINE + 1)


class BadLine(ValueError):
    """Why a line is unusable."""


def parse_object(line: bytes) -> dict[str, Any]:
    """A JSON object that any JSON can hold again; raises BadLine where it is none."""
    if len(line) > _MAX_LINE:
        raise BadLine(f"longer than {_MAX_LINE:,} bytes")
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant)
        # Also finds what Python's JSON lets through: 1e999 and halves of surrogate pairs.
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError:
        raise BadLine("not valid UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise BadLine('not a JSON object such as {"path": "a.jpg"}')
    return row


def _path(row: Mapping[str, Any]) -> str:
    written = row.get("path")
    if not written:
        raise BadLine("path is missing")
    return str(written)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _row(stated: Mapping[str, Any], manifest: Path, number: int, collection: str) -> ManifestRow:
    if unknown := sorted(set(stated) - set(_FIELDS)):
        raise BadLine(f"unknown field {unknown[0]!r}; known are {', '.join(_FIELDS)}")
    values = {name: value for name, value in stated.items() if value is not None}
    for name in _TEXTS:
        if not isinstance(values.get(name, ""), str):
            raise BadLine(f"{name} must be a string")
        if "\0" in values.get(name, ""):
            raise BadLine(f"{name} contains a NUL character")
    if not isinstance(values.get("metadata", {}), dict):
        raise BadLine("metadata must be a JSON object")
    written = _path(values)
    return ManifestRow(
        path=manifest.parent / written,
        uri=values.get("uri", written),
        collection=values.get("collection", collection),
        # Empty metadata states nothing, as null does.
        stated={name: values[name] for name in _STATED if values.get(name) not in (None, {})},
        line=number,
    )

"""From what a program hands over (paths, bytes, PIL images, mappings) to rows to ingest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from attribution.asking import Picture, bytes_of
from attribution.catalog.validation import TEXT_LENGTHS
from attribution.ingestion import (
    ManifestProblem,
    ManifestRow,
    ManifestUnreadable,
    is_picture,
    read_with_table,
)
from attribution.ingestion.rows import as_text

Brought = Picture | Mapping[str, Any]
_STATED = (*TEXT_LENGTHS, "metadata")


def rows_of(
    brought: Brought | Iterable[Brought], *, collection: str, stated: Mapping[str, Any]
) -> Iterator[ManifestRow | ManifestProblem]:
    """A row for each picture, read as it goes.

    Args:
        brought: what `Gallery.add` takes.
        collection: of those that name none.
        stated: fields of all of them; what one says itself comes first.

    Raises:
        ManifestUnreadable: a path leads to neither a picture, a folder nor a manifest.
        TypeError: something is no picture, or a field is unknown.
    """
    _refuse_unknown(stated)
    for number, each in enumerate(_each(brought), start=1):
        for row in _rows(each, number, collection):
            yield row if isinstance(row, ManifestProblem) else _with(row, stated)


def _each(brought: Brought | Iterable[Brought]) -> Iterable[Brought]:
    if isinstance(brought, str | Path | bytes | Image.Image | Mapping):
        return [brought]
    return brought


def _rows(each: Brought, number: int, collection: str) -> Iterable[ManifestRow | ManifestProblem]:
    if isinstance(each, Mapping):
        return [_of_mapping(each, number, collection)]
    if isinstance(each, bytes | Image.Image):
        return [_in_memory(each, number, collection)]
    if not isinstance(each, str | Path):
        raise TypeError(
            f"image {number} is a {type(each).__name__}: give a path, the bytes of a file, a PIL "
            "image, or a mapping with one of them as `image`"
        )
    path = Path(each).expanduser()
    if is_picture(path):
        return [ManifestRow(path, as_text(path), collection)]
    if path.is_file() or path.is_dir():
        return read_with_table(path, collection=collection)
    raise ManifestUnreadable(f"{path} is not there: give an image, a folder, or a manifest")


def _of_mapping(each: Mapping[str, Any], number: int, collection: str) -> ManifestRow:
    image = each.get("image")
    if not isinstance(image, str | Path | bytes | Image.Image):
        raise TypeError(
            f"image {number} has no `image`: a path, the bytes of a file or a PIL image"
        )
    _refuse_unknown(
        {name: value for name, value in each.items() if name not in {"image", "collection"}}
    )
    where = each.get("collection") or collection
    if isinstance(image, str | Path):
        path = Path(image).expanduser()
        row = ManifestRow(path, as_text(path), where)
    else:
        row = _in_memory(image, number, where)
    return _with(row, {name: each[name] for name in _STATED if name in each})


def _in_memory(image: bytes | Image.Image, number: int, collection: str) -> ManifestRow:
    name = getattr(image, "filename", "") or ""
    called = Path(name or f"image {number}")
    return ManifestRow(called, as_text(name), collection, content=bytes_of(image))


def _with(row: ManifestRow, stated: Mapping[str, Any]) -> ManifestRow:
    """The row with what else is stated; what it states itself comes first."""
    known = {name: value for name, value in stated.items() if value not in (None, {})}
    whole = {**known, **row.stated}
    return replace(row, stated=whole, uri=whole.get("uri", row.uri))


def _refuse_unknown(stated: Iterable[str]) -> None:
    for name in stated:
        if name not in _STATED:
            raise TypeError(f"{name!r} is no field of a source; known are {', '.join(_STATED)}")

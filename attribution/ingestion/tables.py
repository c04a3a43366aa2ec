"""A spreadsheet beside a folder of pictures: what it says of each goes with that picture's row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from attribution.ingestion.folders import Found, walk
from attribution.ingestion.manifest import open_sheet, read_manifest, row_of
from attribution.ingestion.rows import ManifestProblem, ManifestRow, ManifestUnreadable
from attribution.ingestion.spreadsheets import Spreadsheet, names_files

_ENDINGS = (".csv", ".tsv")
_NAME = "metadata"


def read_with_table(
    path: Path,
    *,
    collection: str = "default",
    table: Path | None = None,
    beside: bool = True,
    on_other: Callable[[Path], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[ManifestRow | ManifestProblem]:
    """As `read_manifest`; the pictures of a folder with what a spreadsheet says of them.

    Args:
        path: the folder, or the manifest.
        collection: of the rows that name none.
        table: the spreadsheet of a folder.
        beside: without one, look for it where it belongs; see `table_beside`.
        on_other: told of each file of a folder that is no picture.
        on_note: told in words which spreadsheet is read, and how.

    Raises:
        ManifestUnreadable: there is nothing to read, or the spreadsheet is no table, is damaged, or
            says two things about one picture; at once, not with the first row.
    """
    tell = on_note or (lambda _: None)

    def told(sheet: Spreadsheet) -> None:
        tell(f"{sheet.path} is read as {sheet.told}")

    if not path.is_dir():
        if table is not None:
            raise ManifestUnreadable(
                f"{path} is no folder: a table says what the pictures of a folder are"
            )
        return read_manifest(path, collection=collection, on_other=on_other, on_sheet=told)
    found = table
    if table is None and beside:
        found = table_beside(path)
        if found is not None and not names_files(found):
            tell(f"{found} is not read: none of its columns names files")
            found = None
    if found is None:
        return read_manifest(path, collection=collection, on_other=on_other)
    opened = open_table(found, path, collection=collection)
    told(opened.sheet)
    others = None if on_other is None else _all_but(found, on_other)
    return opened.joined(read_manifest(path, collection=collection, on_other=others))


def _all_but(table: Path, on_other: Callable[[Path], None]) -> Callable[[Path], None]:
    def tell(other: Path) -> None:
        if _key(other) != _key(table):
            on_other(other)

    return tell


def table_beside(folder: Path) -> Path | None:
    """The spreadsheet that belongs to a folder: FOLDER.csv beside it, or metadata.csv in it.

    Raises:
        ManifestUnreadable: there are several.
    """
    here = Path(os.path.abspath(folder))  # noqa: PTH100  # `resolve` would follow a link elsewhere
    places = [here.with_name(here.name + ending) for ending in _ENDINGS if here.name]
    places += [folder / (_NAME + ending) for ending in _ENDINGS]
    found = [place for place in places if place.is_file()]
    if len(found) > 1:
        raise ManifestUnreadable(
            f"{found[0]} and {found[1]} may both say what the pictures are: name one with "
            "--table, or give --no-table"
        )
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Table:
    """What a spreadsheet says of the pictures of one folder.

    Attributes:
        sheet: it.
        folder: of the pictures.
        rows: what it says, by the whole path of a picture.
        problems: rows that say nothing of any.
    """

    sheet: Spreadsheet
    folder: Path
    rows: dict[str, ManifestRow]
    problems: tuple[ManifestProblem, ...]

    def joined(
        self, rows: Iterable[ManifestRow | ManifestProblem]
    ) -> Iterator[ManifestRow | ManifestProblem]:
        """The rows of the folder with what is said of each, then what is wrong with the table."""
        for row in rows:
            said = self.rows.get(_key(row.path)) if isinstance(row, ManifestRow) else None
            if said is None or isinstance(row, ManifestProblem):
                yield row
            else:
                uri = said.stated.get("uri", row.uri)
                yield replace(
                    row, uri=uri, collection=said.collection, stated=said.stated, line=said.line
                )
        yield from self.problems


def open_table(path: Path, folder: Path, *, collection: str = "default") -> Table:
    """Find for each row of a spreadsheet the picture of a folder that it is about.

    A row names a picture by its path from the spreadsheet or from the folder, or by its name alone
    where one picture only is called so. Memory holds the table and the names in the folder.

    Args:
        path: of the spreadsheet.
        folder: of the pictures.
        collection: of the rows that name none.

    Raises:
        ManifestUnreadable: it is no table, is damaged, or says two things about one picture.
    """
    sheet = open_sheet(path)
    found = [entry.path for entry in walk(folder) if isinstance(entry, Found)]
    pictures = {_key(each) for each in found}
    called = Counter(each.name for each in found)
    places = {each.name: _key(each) for each in found}
    rows: dict[str, ManifestRow] = {}
    problems: list[ManifestProblem] = []
    for cells in sheet.rows():
        row = row_of(cells, sheet, collection)
        if isinstance(row, ManifestProblem):
            problems.append(row)
            continue
        written = os.path.relpath(row.path, path.parent)
        name = PurePath(written).name
        keys = (_key(row.path), _key(folder / written))
        key = next((each for each in keys if each in pictures), None)
        if key is None and name == written and called[name] == 1:
            key = places[name]
        if key is None:
            problems.append(ManifestProblem(row.line, _why(written, folder, called[name]), path))
        elif key in rows:
            raise ManifestUnreadable(
                f"{path}, line {row.line}: it is about the picture of line {rows[key].line}, "
                f"{written}: leave one of them"
            )
        else:
            rows[key] = row
    return Table(sheet, folder, rows, tuple(problems))


def _why(written: str, folder: Path, called: int) -> str:
    if called > 1 and PurePath(written).name == written:
        return f"{called} pictures in {folder} are called {written}: write its path from there"
    return f"{folder} has no picture {written}: mend the name, or take the line out"


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100  # `resolve` would follow links of pictures

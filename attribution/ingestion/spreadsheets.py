"""A spreadsheet exported as CSV: rows by the names of their columns. Opens no image.

What spreadsheets differ in is found out: encoding, delimiter, how columns are called. The file is
looked through once before the first row is given, so that one which is not what it seems adds
nothing at all; then it is read as it goes.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from attribution.ingestion.columns import Columns, spelt
from attribution.ingestion.rows import ManifestUnreadable

SUFFIXES = frozenset({".csv", ".tsv", ".tab"})
_WORKBOOKS = frozenset({".xlsx", ".xls", ".xlsm", ".ods", ".numbers"})
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
_HEAD = 65_536
_SHOWN = 40
_SEPARATOR = re.compile(r"sep=(.)[\r\n]")


@dataclass(frozen=True, slots=True)
class Cells:
    """A row: the line that it begins in, and its cells by what their columns mean."""

    line: int
    values: dict[str, str]
    others: dict[str, str]


@dataclass(frozen=True, slots=True)
class Spreadsheet:
    """A file that has been looked through.

    Attributes:
        path: of the file.
        encoding: as Python calls it.
        delimiter: between its cells.
        columns: what they mean.
        start: lines before the one that names the columns.
    """

    path: Path
    encoding: str
    delimiter: str
    columns: Columns
    start: int

    @property
    def told(self) -> str:
        """How it is read, in words, for whoever sees letters come out wrong."""
        encoding = {"cp1252": "Windows-1252", "utf-8-sig": "UTF-8"}.get(
            self.encoding, self.encoding.upper()
        )
        delimiter = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}[self.delimiter]
        return f"{encoding}, separated by {delimiter}; {self.columns.told}"

    def rows(self) -> Iterator[Cells]:
        """Its rows in order, empty ones left out.

        Raises:
            ManifestUnreadable: a row is none; not after `open_spreadsheet`, unless the file
                has changed since.
        """
        with _text(self.path, self.encoding) as file:
            for _ in range(self.start):
                file.readline()
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            line = self.start + 1
            header = True
            while (cells := _next(reader, self, line)) is not None:
                here, line = line, self.start + reader.line_num + 1
                if header:
                    header = False
                elif any(cell.strip() for cell in cells):
                    self._refuse_too_many(cells, here)
                    yield Cells(here, *self.columns.of(cells))

    def _refuse_too_many(self, cells: Sequence[str], line: int) -> None:
        most = len(self.columns.names)
        if any(cell.strip() for cell in cells[most:]):
            raise ManifestUnreadable(
                f"{self.path}, line {line}: it has {len(cells)} cells, and {most} columns are "
                "named: put a text that holds the separator in quotes, or name the column"
            )


def open_spreadsheet(path: Path) -> Spreadsheet:
    """Find out how a file is to be read, and look it through.

    Raises:
        ManifestUnreadable: it is no table of this kind, or a part of it is damaged.
        OSError: it cannot be read.
    """
    if path.suffix.lower() in _WORKBOOKS:
        raise ManifestUnreadable(
            f"{path} is a workbook: save its sheet as CSV UTF-8, and give that file"
        )
    encoding = _encoding(path)
    with _text(path, encoding) as file:
        head = file.read(_HEAD)
    start, given = _separator(head)
    first = _after(head, start)
    if len(head) == _HEAD and not re.search(r"[\r\n]", first):
        raise ManifestUnreadable(
            f"{path}, line {start + 1}: it is longer than {_HEAD:,} characters, and so names no "
            "columns: save the sheet as CSV UTF-8 again"
        )
    delimiter, names = _header(path, first, given, start + 1)
    sheet = Spreadsheet(path, encoding, delimiter, Columns.of_names(path, names, start + 1), start)
    for _ in sheet.rows():
        pass
    return sheet


def is_spreadsheet(path: Path, head: bytes) -> bool:
    """Whether a file that begins so is meant to be one, by its name or by what it says first."""
    if path.suffix.lower() in SUFFIXES | _WORKBOOKS:
        return True
    return _names_files(head)


def names_files(path: Path) -> bool:
    """Whether a file is a table whose columns name files; of one that is damaged, yes.

    So that a table that has nothing to do with pictures is told from one that is to be mended.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return True
    return _names_files(head)


def _names_files(head: bytes) -> bool:
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in head[:4]:
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    start, given = _separator(text)
    return any(spelt(name) == "path" for name in _best_names(_after(text, start), given)[1])


def _separator(text: str) -> tuple[int, str | None]:
    """Lines before the header, and the delimiter that a first line `sep=;` names, as Excel's."""
    found = _SEPARATOR.match(text)
    return (0, None) if found is None else (1, found[1])


def _after(text: str, lines: int) -> str:
    """What comes after so many lines, whatever they end in."""
    rest = io.StringIO(text, newline="")
    for _ in range(lines):
        rest.readline()
    return rest.read()


def _header(path: Path, text: str, given: str | None, number: int) -> tuple[str, list[str]]:
    delimiter, names = _best_names(text, given)
    if not any(spelt(name) == "path" for name in names):
        shown = ", ".join(repr(_shortened(name)) for name in names[:8]) or "nothing"
        raise ManifestUnreadable(
            f"{path}, line {number}: no column names the files; it has {shown}. Call the column "
            "with their names `path` (or file, filename, image)"
        )
    return delimiter, names


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."


def _best_names(text: str, given: str | None) -> tuple[str, list[str]]:
    """The delimiter by which most columns of the first row are known, and their names."""
    tried = [
        (each, _first_row(text, each))
        for each in ((given,) if given in _DELIMITERS else _DELIMITERS)
    ]
    return max(
        tried, key=lambda one: (sum(spelt(name) is not None for name in one[1]), len(one[1]))
    )


def _first_row(text: str, delimiter: str) -> list[str]:
    """The cells of the first row; one in quotes may hold line ends."""
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return []
    return [name.strip() for name in names]


def _encoding(path: Path) -> str:
    """UTF-8 or UTF-16 by mark or, without one, by what every byte allows; else Windows-1252.

    Raises:
        ManifestUnreadable: it is none of them.
    """
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(b"PK\3\4"):
            raise ManifestUnreadable(
                f"{path} is a workbook, whatever it is called: save its sheet as CSV UTF-8"
            )
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked is not None:
        tried: tuple[str, ...] = (marked,)
    elif b"\0" in head:
        tried = ("utf-16-le" if head[1:2] == b"\0" else "utf-16-be",)
    else:
        tried = ("utf-8", "cp1252")
    wrong = 0
    for encoding in tried:
        wrong = _first_wrong_line(path, encoding)
        if not wrong:
            return encoding
    names = " nor ".join({"cp1252": "Windows-1252"}.get(name, name.upper()) for name in tried)
    raise ManifestUnreadable(
        f"{path}, line {wrong}: it is not {names}: save the sheet as CSV UTF-8 again"
    )


def _first_wrong_line(path: Path, encoding: str) -> int:
    """The number of the line that cannot be read so, counted from 1; 0 where all can be."""
    decoder, lines = codecs.getincrementaldecoder(encoding)(), 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "replace")
                return lines + before.count("\n")
            if "\0" in text:
                return lines + text[: text.index("\0")].count("\n")
            lines += text.count("\n")
            if not chunk:
                return 0


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[TextIO]:
    with path.open(encoding=encoding, newline="") as file:
        yield file


def _next(reader: Any, sheet: Spreadsheet, line: int) -> list[str] | None:
    try:
        return next(reader, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ManifestUnreadable(
            f"{sheet.path}, line {line}: {error}; a quotation mark there may have no partner: "
            "save the sheet as CSV UTF-8 again"
        ) from error

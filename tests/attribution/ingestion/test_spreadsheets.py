"""Spreadsheets as programs export them: encodings, delimiters, names of columns, and damage."""

import os
from pathlib import Path

import pytest

from attribution.ingestion import (
    ManifestProblem,
    ManifestRow,
    ManifestUnreadable,
    read_manifest,
    read_with_table,
)
from attribution.opt_out import OptOut, opt_out_of
from tests.support.pictures import draw

TEXT = "File name;Titel;Fotograf;License;Jahr\na.jpg;Größe;Zoë;CC0-1.0;1999\n"


def rows(path: Path) -> list[ManifestRow | ManifestProblem]:
    return list(read_manifest(path))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_the_encoding_is_found_and_told(tmp_path, encoding):
    (tmp_path / "sheet.csv").write_bytes(TEXT.encode(encoding))
    sheets = []
    [row] = read_manifest(tmp_path / "sheet.csv", on_sheet=sheets.append)
    assert row.stated == {
        "title": "Größe",
        "creator": "Zoë",
        "licence": "CC0-1.0",
        "metadata": {"Jahr": "1999"},
    }
    assert (row.path, row.uri, row.line) == (tmp_path / "a.jpg", "a.jpg", 2)
    told = {"cp1252": "Windows-1252", "utf-8-sig": "UTF-8"}.get(encoding, encoding.upper())
    assert sheets[0].told.startswith(f"{told}, separated by semicolons; path from 'File name'")
    assert sheets[0].told.endswith("kept as metadata: 'Jahr'")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "sep={}\r\n"])
def test_the_delimiter_is_found(tmp_path, delimiter, mark):
    cells = [["Image", "Title, long; or | not"], ["a.jpg", "one, two; three"]]
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in cells]
    sheet = tmp_path / "sheet"
    sheet.write_bytes((mark.format(delimiter) + "\r\n".join(lines) + "\r\n").encode())
    [row] = rows(sheet)
    assert row.stated == {"metadata": {"Title, long; or | not": "one, two; three"}}
    assert row.line == (3 if mark else 2)


@pytest.mark.parametrize("ends", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "sep=,"])
def test_lines_end_as_they_please_and_names_of_columns_hold_some(tmp_path, ends, mark):
    lines = [*filter(None, [mark]), '"File\nname",Title', 'a.jpg,"two\nlines"', "b.jpg,c", ""]
    (tmp_path / "sheet.csv").write_bytes(ends.join(lines).encode())
    assert [(row.uri, row.stated) for row in rows(tmp_path / "sheet.csv")] == [
        ("a.jpg", {"title": "two\nlines"}),
        ("b.jpg", {"title": "c"}),
    ]


def test_what_an_owner_says_about_training_is_known_by_its_columns(tmp_path):
    (tmp_path / "sheet.csv").write_text(
        "SourceFile,XMP-plus:DataMining,Do not train,Ku\u0308nstler\na.jpg,DMI-ALLOWED,yes,Ada\n"
    )
    [row] = rows(tmp_path / "sheet.csv")
    said = {"data_mining": "DMI-ALLOWED", "do_not_train": "yes"}
    assert row.stated == {"creator": "Ada", "metadata": said}
    assert opt_out_of(row.stated["metadata"]) == OptOut(True, "DMI-ALLOWED")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x" * 200_000, "line 1: it is longer than 65,536 characters"),
        ("sep=;\n" + "c;" * 50_000, "line 2: it is longer than 65,536 characters"),
        ("x" * 5_000 + "\n", f"no column names the files; it has '{'x' * 40}...'"),
        ("path,title\na.jpg," + "x" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_lines_without_end_are_refused_in_a_line_that_has_one(tmp_path, text, wanted):
    (tmp_path / "sheet.csv").write_text(text)
    with pytest.raises(ManifestUnreadable) as refused:
        read_manifest(tmp_path / "sheet.csv")
    assert wanted in str(refused.value)
    assert len(str(refused.value)) < 400


def test_columns_of_exiftool_and_empty_cells(tmp_path):
    (tmp_path / "sheet.csv").write_text(
        "SourceFile,XMP:Title,IPTC:ObjectName,By-line,Copyright Notice,metadata,URL\n"
        'sub\\a.jpg,,From IPTC,Ann,(c) Ann,"{""note"": [1]}",\n'
        ",,,,,,\n"
        '"b.jpg",One,Two,,,,https://b.example/\n'
    )
    first, second = rows(tmp_path / "sheet.csv")
    assert first.path == tmp_path / "sub/a.jpg"
    assert first.stated == {
        "title": "From IPTC",
        "creator": "Ann",
        "metadata": {"note": [1], "copyright": "(c) Ann"},
    }
    assert (second.uri, second.line) == ("https://b.example/", 4)
    assert second.stated == {"title": "One", "uri": "https://b.example/"}


def test_a_text_in_the_column_of_the_path_ends_nothing(tmp_path):
    text = "a\\b " * 200  # longer than any name of a file
    (tmp_path / "sheet.csv").write_text(f"path,title\n{text},A\nb.jpg,B\n")
    assert [each.stated["title"] for each in rows(tmp_path / "sheet.csv")] == ["A", "B"]


@pytest.mark.parametrize(
    ("content", "line", "advice"),
    [
        (b"name of it,title\na,b\n", 1, "no column names the files; it has 'name of it', 'title'"),
        (b"path,title,title\na.jpg,b,c\n", 1, "two columns are called 'title': rename one"),
        (b"path,title\na.jpg,one, two\n", 2, "put a text that holds the separator in quotes"),
        (b'path,title\na.jpg,b\nb.jpg,"open\n', 3, "may have no partner"),
        (b"path\na.jpg\n\x81.jpg\n", 3, "it is not UTF-8 nor Windows-1252"),
        (b"\xff\xfep\0a\0t\0h\0\n\0a\0\0\xd8\0", 2, "it is not UTF-16"),
        (b"PK\3\4 a workbook", None, "save its sheet as CSV UTF-8"),
        (b"", 1, "it has nothing"),
    ],
)
def test_a_damaged_one_is_refused_before_its_first_row(tmp_path, content, line, advice):
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(content)
    with pytest.raises(ManifestUnreadable) as refused:
        read_manifest(sheet)
    where = f"{sheet}" if line is None else f"{sheet}, line {line}: "
    assert str(refused.value).startswith(where)
    assert advice in str(refused.value)


def test_a_row_that_says_nothing_usable_is_a_problem_of_its_line(tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(
        'path,title,metadata\n,no path,\na.jpg,b,{bad\nb.jpg,"two\nlines",\nc.jpg,c,\n'
    )
    found = rows(sheet)
    assert [(row.line, type(row).__name__) for row in found] == [
        (2, "ManifestProblem"),
        (3, "ManifestProblem"),
        (4, "ManifestRow"),
        (6, "ManifestRow"),
    ]
    assert found[0].told == "line 2: path is missing"
    assert found[1].told.startswith("line 3: metadata: not valid JSON")


@pytest.fixture
def folder(tmp_path) -> Path:
    draw(tmp_path / "photos", [0, 1])
    draw(tmp_path / "photos" / "sub", [1, 2])
    return tmp_path / "photos"


def test_a_table_says_what_the_pictures_of_its_folder_are(folder):
    table = folder.parent / "photos.csv"
    table.write_text(
        "filename,title\n000.jpg,Nought\nsub/001.jpg,One below\n002.jpg,By its name\n001.jpg,One\n"
    )
    notes, others = [], []
    found = list(read_with_table(folder, on_note=notes.append, on_other=others.append))
    said = {os.path.relpath(row.path, folder): row.stated.get("title") for row in found}
    assert said == {
        "000.jpg": "Nought",
        "001.jpg": "One",
        "sub/001.jpg": "One below",
        "sub/002.jpg": "By its name",
    }
    assert all(row.uri == str(row.path) for row in found)
    assert notes == [f"{table} is read as UTF-8, separated by commas; path from 'filename'"]
    assert not others


def test_rows_about_no_picture_and_pictures_in_no_row(folder):
    table = folder / "metadata.csv"
    table.write_text("file,title\ngone.jpg,Gone\n")
    (folder / "notes.txt").touch()
    others = []
    found = list(read_with_table(folder, on_other=others.append))
    assert [row.stated for row in found[:-1]] == [{}] * 4
    assert found[-1].told == (
        f"line 2: {folder} has no picture gone.jpg: mend the name, or take the line out"
    )
    assert others == [folder / "notes.txt"]


def test_a_name_of_several_pictures_and_a_picture_of_several_rows(folder, tmp_path):
    draw(folder / "other", [2])
    table = tmp_path / "elsewhere.csv"
    table.write_text("file\n002.jpg\n")
    *_, problem = read_with_table(folder, table=table)
    assert "2 pictures in" in problem.told
    assert "write its path from there" in problem.told
    table.write_text("file,title\n000.jpg,a\nphotos/000.jpg,b\n")
    with pytest.raises(ManifestUnreadable, match="line 3: it is about the picture of line 2"):
        read_with_table(folder, table=table)


def test_which_table_belongs_to_a_folder_is_not_guessed(folder):
    (folder / "metadata.csv").write_text("year,sum\n2020,7\n")
    notes = []
    assert len(list(read_with_table(folder, on_note=notes.append))) == 4
    assert notes == [f"{folder / 'metadata.csv'} is not read: none of its columns names files"]
    (folder.parent / "photos.csv").write_text("file\n000.jpg\n")
    with pytest.raises(ManifestUnreadable, match="--no-table"):
        read_with_table(folder)
    assert len(list(read_with_table(folder, beside=False))) == 4
    with pytest.raises(ManifestUnreadable, match="is no folder"):
        read_with_table(folder.parent / "photos.csv", table=folder.parent / "photos.csv")

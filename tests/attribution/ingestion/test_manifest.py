"""Manifests: which files, in which order, and what is said of each line that is no row."""

import json
import os
import types
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attribution.ingestion import ManifestProblem, ManifestRow, ManifestUnreadable, read_manifest
from models.images.formats import picture_format


def write(folder: Path, *lines: object) -> Path:
    manifest = folder / "manifest.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    manifest.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return manifest


def problem(folder: Path, line: object) -> str:
    """The reason of the one bad line between two good ones, which are read all the same."""
    rows = list(read_manifest(write(folder, {"path": "a.jpg"}, line, {"path": "b.jpg"})))
    assert [row.line for row in rows] == [1, 2, 3]
    assert isinstance(rows[0], ManifestRow)
    assert isinstance(rows[2], ManifestRow)
    assert isinstance(rows[1], ManifestProblem)
    assert rows[1].path == folder / "manifest.jsonl"
    return rows[1].reason


def test_folder_gives_its_images_sorted_and_recursively(tmp_path):
    names = ["b.JPG", "a/z.png", "a/deep/er/x.webp", "a-b.gif", "c.jpeg", "c/1.jpg"]
    others = ["notes.txt", "a/data.json", ".hidden.jpg", ".cache/y.jpg", "a/._z.png", "noise"]
    for name in names + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()

    passed_over = []
    found = list(read_manifest(tmp_path, collection="art", on_other=passed_over.append))
    rows = [row for row in found if isinstance(row, ManifestRow)]

    others = ["notes.txt", "a/data.json", ".hidden.jpg", "a/._z.png", "noise"]
    assert sorted(passed_over) == sorted(tmp_path / name for name in others)
    [left_out] = [row for row in found if isinstance(row, ManifestProblem)]
    assert left_out.path == tmp_path / ".cache"
    assert "a hidden folder" in left_out.reason
    assert [row.path for row in rows] == sorted(tmp_path / name for name in names)
    assert {row.collection for row in rows} == {"art"}
    assert all(row.uri == str(row.path) and row.stated == {} for row in rows)


def test_folder_follows_links_to_files_but_not_in_circles(tmp_path):
    (tmp_path / "real.jpg").touch()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")

    (tmp_path / "once").mkdir()
    (tmp_path / "once" / "again").symlink_to(tmp_path / "once")

    rows = list(read_manifest(tmp_path))
    assert [row.path.name for row in rows if isinstance(row, ManifestRow)] == [
        "link.jpg",
        "real.jpg",
    ]
    assert {row.path.name: row.reason for row in rows if isinstance(row, ManifestProblem)} == {
        "circle": "a link back to a folder that it lies in",
        "again": "a link back to a folder that it lies in",
        "dangling.jpg": f"a link that leads nowhere, to {tmp_path / 'nowhere'}",
        "pipe.jpg": "no regular file",
    }


def test_a_hidden_folder_is_read_when_it_is_the_one_asked_for(tmp_path):
    folder = tmp_path / ".images"
    folder.mkdir()
    (folder / "a.jpg").touch()

    assert [row.path for row in read_manifest(folder)] == [folder / "a.jpg"]


def test_full_row(tmp_path):
    stated = {
        "path": "images/a.jpg",
        "uri": "https://example.org/a",
        "title": "Bébé 🐣",
        "creator": "A",
        "licence": "CC0",
        "collection": "art",
        "metadata": {"year": 1901, "tags": ["x", None]},
    }

    (row,) = read_manifest(write(tmp_path, stated))

    assert row == ManifestRow(
        path=tmp_path / "images/a.jpg",
        uri="https://example.org/a",
        collection="art",
        stated={name: stated[name] for name in ("uri", "title", "creator", "licence", "metadata")},
        line=1,
    )


def test_defaults(tmp_path):
    null = dict.fromkeys(("uri", "title", "creator", "licence", "collection", "metadata"))

    rows = list(
        read_manifest(
            write(tmp_path, {"path": "./x/../a.jpg"}, {"path": "/abs/a.jpg"}, null | {"path": "a"}),
            collection="mine",
        )
    )

    assert [row.uri for row in rows] == ["./x/../a.jpg", "/abs/a.jpg", "a"]
    assert rows[0].path == tmp_path / "./x/../a.jpg"
    assert rows[1].path == Path("/abs/a.jpg")
    assert {row.collection for row in rows} == {"mine"}
    assert all(row.stated == {} for row in rows)


def test_blank_lines_and_byte_order_mark(tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_bytes(b'\xef\xbb\xbf{"path": "a.jpg"}\r\n\r\n   \n{"path": "b.jpg"}')

    assert [(row.line, row.path.name) for row in read_manifest(manifest)] == [
        (1, "a.jpg"),
        (4, "b.jpg"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"path": "a.jpg"', "not valid JSON"),
        ("not json", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"path": "a", "metadata": {"x": NaN}}', "NaN"),
        ('{"path": "a", "metadata": {"x": 1e999}}', "not valid JSON"),
        ('{"path": "a\\ud800"}', "not valid UTF-8"),
        ('["a.jpg"]', "not a JSON object"),
        ('"a.jpg"', "not a JSON object"),
        ({"title": "x"}, "path is missing"),
        ({"path": ""}, "path is missing"),
        ({"path": None}, "path is missing"),
        ({"path": 5}, "path must be a string"),
        ({"path": "a\0b"}, "NUL"),
        ({"path": "a", "title": ["x"]}, "title must be a string"),
        ({"path": "a", "collection": 5}, "collection must be a string"),
        ({"path": "a", "metadata": "x"}, "metadata must be a JSON object"),
        ({"path": "a", "license": "CC0"}, "unknown field 'license'; known are path, uri"),
        ({"path": "a" * 1_100_000}, "longer than"),
        ({"path": "a" * 3_500_000}, "longer than"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_line_is_reported_and_reading_goes_on(tmp_path, line, reason):
    assert reason in problem(tmp_path, line)


def test_bytes_that_are_not_utf8(tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_bytes(b'{"path": "\xff.jpg"}\n{"path": "b.jpg"}\n')

    bad, good = read_manifest(manifest)

    assert isinstance(bad, ManifestProblem)
    assert "UTF-8" in bad.reason
    assert good.path.name == "b.jpg"


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_give_rows_or_problems(tmp_path_factory, lines):
    manifest = tmp_path_factory.mktemp("any") / "m.jsonl"
    manifest.write_bytes(b"\n".join([*lines, b'{"path": "last.jpg"}']))
    assume(picture_format(manifest.read_bytes()) is None)

    *before, last = read_manifest(manifest)

    assert all(isinstance(row, ManifestRow | ManifestProblem) for row in before)
    assert last.path.name == "last.jpg"


def test_what_is_no_folder_and_no_manifest_is_refused_at_once(tmp_path):
    with pytest.raises(ManifestUnreadable, match="give a folder or a JSON Lines manifest"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "a.JPG").touch()
    with pytest.raises(ManifestUnreadable, match="give the folder it is in"):
        read_manifest(tmp_path / "a.JPG")


def test_reads_lazily(tmp_path):
    rows = read_manifest(write(tmp_path, {"path": "a"}, {"path": "b"}))

    assert isinstance(rows, types.GeneratorType)
    assert next(rows).path.name == "a"
    rows.close()  # closes the file, or pytest reports the leak

"""What of a folder is read, what is left out with a reason, and what is no picture."""

import os

import pytest

from attribution.ingestion.folders import Found, LeftOut, NoPicture, is_picture, walk
from tests.support.pictures import jpeg, picture

JPEG = jpeg(picture(1, (16, 16)))


@pytest.fixture
def put(tmp_path):
    def put(name, data=JPEG):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    put("a.jpg")
    return put


def found(folder):
    return [
        entry.path.relative_to(folder).as_posix()
        for entry in walk(folder)
        if isinstance(entry, Found)
    ]


def left_out(folder):
    return {
        entry.path.relative_to(folder).as_posix(): entry.reason
        for entry in walk(folder)
        if isinstance(entry, LeftOut)
    }


@pytest.mark.parametrize("name", ["b.jfif", "b.jpe", "b", "b.jpg_large", "b.txt", "b.JPG", "b.1"])
def test_content_decides(tmp_path, put, name):
    assert is_picture(put(name))
    assert found(tmp_path / "folder") == ["a.jpg", name]


@pytest.mark.parametrize("name", ["b.heic", "b.TIF", "b.bmp", "b.nef", "b.svg"])
def test_what_calls_itself_a_picture_is_read_to_be_told(tmp_path, put, name):
    put(name, b"whatever")
    assert found(tmp_path / "folder") == ["a.jpg", name]


@pytest.mark.parametrize(
    "name", ["notes.txt", "a.xmp", "Thumbs.db", "film.mp4", ".DS_Store", "._a.jpg"]
)
def test_other_files_are_no_pictures(tmp_path, put, name):
    path = put(name, b"\0\5\x16\7" + bytes(60))
    entries = list(walk(tmp_path / "folder"))
    assert NoPicture(path) in entries
    assert len(entries) == 2


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        ".thumbnails",
        ".Trash",
        ".cache",
        "@Recycle",
        "#SNAPSHOT",
        "RECYCLED",
        "lost+found",
    ],
)
def test_folders_that_systems_keep_are_named_once(tmp_path, put, name):
    put(f"{name}/b.jpg")
    put(f"{name}/deep/c")
    assert found(tmp_path / "folder") == ["a.jpg"]
    assert left_out(tmp_path / "folder").keys() == {name}
    assert sorted(found(tmp_path / "folder" / name)) == ["b.jpg", "deep/c"]


def test_nothing_is_left_out_where_they_hold_no_picture(tmp_path, put):
    put("$RECYCLE.BIN/desktop.ini", b"[.ShellClassInfo]")
    assert left_out(tmp_path / "folder") == {}


def test_hidden_pictures_are_named(tmp_path, put):
    put(".b.jpg")
    assert left_out(tmp_path / "folder").keys() == {".b.jpg"}


def test_links_to_folders_are_followed_once(tmp_path, put):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.jpg").write_bytes(JPEG)
    (elsewhere / "back").symlink_to(tmp_path / "folder")
    for name in ("first", "second"):
        (tmp_path / "folder" / name).symlink_to(elsewhere)
    (tmp_path / "folder" / "file").symlink_to(elsewhere / "b.jpg")
    assert found(tmp_path / "folder") == ["a.jpg", "file", "first/b.jpg"]
    assert "back to a folder" in left_out(tmp_path / "folder")["first/back"]


def test_links_that_lead_nowhere_or_round_are_named(tmp_path, put):
    folder = tmp_path / "folder"
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "gone").symlink_to(tmp_path / "unmounted")
    (folder / "self").symlink_to("self")
    (folder / "up").symlink_to(tmp_path)
    assert left_out(folder).keys() == {"gone.jpg", "gone", "self", "up"}
    assert "nowhere.jpg" in left_out(folder)["gone.jpg"]


def test_a_pipe_is_not_opened(tmp_path, put):
    os.mkfifo(tmp_path / "folder" / "p.jpg")
    os.mkfifo(tmp_path / "folder" / "pipe")
    assert left_out(tmp_path / "folder") == {"p.jpg": "no regular file"}


@pytest.mark.parametrize("name", ["catalog.sqlite3", "service.lock"])
def test_a_data_folder_is_no_folder_of_pictures(put, name):
    """`ingest .` would hold the previews of what it holds, and the queries of jobs."""
    folder = put("var/previews/ab/abc.jpg").parents[3]
    assert found(folder) == ["a.jpg", "var/previews/ab/abc.jpg"]
    put(f"var/{name}", b"SQLite format 3")
    assert found(folder) == ["a.jpg"]
    assert "data folder" in left_out(folder)["var"]
    assert found(folder / "var" / "previews") == ["ab/abc.jpg"]  # given itself

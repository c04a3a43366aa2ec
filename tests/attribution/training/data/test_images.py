"""Images of folders and tar files are found wherever they lie, by the same names."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.training.data.images import NoImages, member_names, members, read_images


@pytest.fixture
def folder(tmp_path) -> Path:
    """`deep/a.png` in a folder, `b.png` in a tar file below it, and what is no image."""
    place = tmp_path / "photos"
    (place / "deep").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for path in (place / "deep" / "a.png", tmp_path / "b.png"):
        Image.fromarray(generator.integers(256, size=(20, 30, 3), dtype=np.uint8)).save(path)
    (place / "notes.txt").write_text("no image")
    with tarfile.open(place / "deep" / "shard.tar", "w") as archive:
        archive.add(tmp_path / "b.png", "b.png")
        archive.add(place / "notes.txt", "notes.txt")
    return place


def test_a_folder_holds_its_own_images_and_those_of_its_tar_files(folder, tmp_path):
    found = dict(members(folder))
    assert list(found) == ["deep/a.png", "b.png"]
    assert found["b.png"] == (tmp_path / "b.png").read_bytes()
    assert member_names([folder]) == found.keys()
    assert dict(members(folder / "deep" / "shard.tar")) == {"b.png": found["b.png"]}


def test_what_is_excluded_is_left_out_wherever_it_lies(folder):
    assert read_images([folder], side=8).names == ("deep/a.png", "b.png")
    left = read_images([folder], side=8, exclude=frozenset({"deep/a.png"}))
    assert left.names == ("b.png",)
    assert left.pixels.shape == (1, 3, 8, 8)
    with pytest.raises(NoImages, match="no readable image"):
        read_images([folder], side=8, exclude=member_names([folder]))


def test_a_damaged_tar_file_is_named(folder):
    (folder / "deep" / "shard.tar").write_bytes(b"no archive")
    with pytest.raises(NoImages, match=r"shard\.tar is no tar file, or damaged"):
        list(members(folder))


def test_a_tar_file_that_is_cut_short_is_no_smaller_one(folder):
    shard = folder / "deep" / "shard.tar"
    shard.write_bytes(shard.read_bytes().rstrip(b"\0")[:512])
    for read in (lambda: list(members(folder)), lambda: member_names([folder])):
        with pytest.raises(NoImages, match=r"shard\.tar"):
            read()


def broken(path):
    raise PermissionError(13, "Permission denied", str(path))


def test_one_file_that_cannot_be_read_ends_no_training(folder, monkeypatch, caplog):
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: broken(path) if path.name == "a.png" else read(path)
    )
    assert read_images([folder], side=8).names == ("b.png",)
    assert "deep/a.png left out: cannot be read (Permission denied)" in caplog.text


def test_content_decides_what_is_an_image_and_what_is_left_out_is_told(folder):
    (folder / "deep" / "a.png").rename(folder / "deep" / "a")
    (folder / "deep" / "@eaDir").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "deep" / "@eaDir" / "thumb.jpg")
    (folder / "text.jpg").write_text("no image")
    with tarfile.open(folder / "deep" / "shard.tar", "w") as archive:
        archive.add(folder / "deep" / "a", "b")
        archive.add(folder / "deep" / "a", "._b.png")
        archive.add(folder / "notes.txt", "notes")
    told = {}
    found = read_images([folder], side=8, on_left_out=told.__setitem__)
    assert found.names == ("deep/a", "b")
    assert member_names([folder]) == {"deep/a", "b", "text.jpg"}
    assert member_names([folder / "deep" / "a", folder / "notes.txt"]) == {"a"}
    assert told.keys() == {"deep/@eaDir", "text.jpg", "._b.png"}
    assert "Synology" in told["deep/@eaDir"]


def test_a_name_that_is_not_utf_8_is_spelt_out_wherever_it_is_kept(folder):
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    (folder / "deep" / "a.png").rename(odd)
    with tarfile.open(folder / "deep" / "shard.tar", "w") as archive:
        archive.add(odd, os.fsdecode(b"th\xe9.png"))
    names = ("caf\\xe9.png", "th\\xe9.png")
    found = read_images([folder], side=8)
    assert found.names == names
    assert member_names([folder]) == set(names)
    assert member_names([odd]) == {names[0]}
    assert len(found.digest) == 64
    assert len(read_images([folder], side=8, exclude=frozenset(names[:1]))) == 1


def test_where_nothing_can_be_read_the_first_reason_is_said(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(NoImages, match=r"no readable image in .*: the first left out is a\.png: "):
        read_images([tmp_path], side=8)


def test_a_file_of_its_own_that_cannot_be_read_is_left_out(folder, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(NoImages, match=r"a\.png: cannot be read \(Permission denied\)"):
        read_images([folder / "deep" / "a.png"], side=8)

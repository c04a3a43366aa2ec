"""Places that cannot be written are found, and looking leaves nothing behind."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from attribution.maintenance.writable import PARTS, unwritable

PLACES = {"previews": "previews", "jobs": "jobs", "index": "index", "catalog": "."}


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "data"
    for name in ("previews/ab", "jobs/job_x", "index/00000001"):
        (folder / name).mkdir(parents=True)
    (folder / "catalog.sqlite3").write_bytes(b"x")
    return folder


def found(folder: Path) -> dict[str, str]:
    return {each.part: each.reason for each in unwritable(folder, snapshots=folder / "index")}


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_sound_folder_and_one_that_is_not_there_yet(folder, tmp_path):
    before = everything(tmp_path)
    assert found(folder) == {}
    assert found(tmp_path / "none") == {}
    assert everything(tmp_path) == before


def test_no_folder_for_temporary_files(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "none"))
    assert list(found(folder)) == ["temporary"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_does_not_take_a_byte(folder, monkeypatch, number):
    def fail(*_, dir=None, **__):  # noqa: A002 (as the function that it stands for)
        raise OSError(number, os.strerror(number), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    assert found(folder) == dict.fromkeys(PARTS, os.strerror(number))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, which takes root")
@pytest.mark.parametrize(
    ("name", "part"),
    [("previews", "previews"), ("previews/ab", "previews"), ("jobs", "jobs"),
     ("jobs/job_x", "jobs"), ("index", "index"), ("catalog.sqlite3", "catalog")],
)  # fmt: skip
def test_what_root_has_written_into_the_folder_of_another(folder, name, part):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    assert found(folder) == {}
    os.chown(folder / name, 0, 0)
    assert found(folder) == {part: "the folder's owner may not write it"}
    (folder / name).chmod(0o777)
    assert found(folder) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the folder away, which takes root")
@pytest.mark.parametrize(("part", "name"), PLACES.items())
def test_a_folder_that_its_owner_has_made_read_only(folder, part, name):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    (folder / name).chmod(0o555)
    assert list(found(folder)) == [part]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize(("part", "name"), PLACES.items())
def test_a_folder_that_may_not_be_written(folder, part, name):
    (folder / name).chmod(0o555)
    try:
        assert list(found(folder)) == [part]
    finally:
        (folder / name).chmod(0o755)

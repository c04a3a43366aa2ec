"""A kill, an error or a second writer at the worst moment: the old file or the new, never half."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from pathlib import Path

import pytest

from attribution.files import flush, new_file, replacing, write_flushed


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def replace_and_die(path: Path, point: str) -> None:
    setattr(os if point == "fsync" else Path, point, die)
    with replacing(path, aside=path.with_name("aside")) as file:
        file.write(b"the new one")


@pytest.mark.parametrize("point", ["fsync", "replace"])
def test_a_kill_before_the_new_file_is_named_leaves_the_old_one(tmp_path, point):
    path = tmp_path / "kept"
    path.write_bytes(b"the old one")
    process = multiprocessing.get_context("fork").Process(
        target=replace_and_die, args=(path, point)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert path.read_bytes() == b"the old one"
    with replacing(path, aside=tmp_path / "aside") as file:  # which the kill has left
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_bytes_are_on_disk_before_they_have_the_name(tmp_path, monkeypatch):
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda *path: (done.append("replace"), replace(*path)))
    with replacing(tmp_path / "file") as file:
        file.write(b"bytes")
    flush(tmp_path)
    assert done == ["fsync", "replace", "fsync"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(b"the old one")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", None])
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        ("kept", b"the old one")
    ]


def test_two_writers_do_not_meet_and_the_last_one_stays(tmp_path):
    path = tmp_path / "kept"
    with replacing(path) as first:
        first.write(b"first")
        with replacing(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"


def test_owner_only_from_the_first_byte_on(tmp_path):
    with replacing(tmp_path / "secret", mode=0o600) as file:
        file.write(b"token")
        [aside] = tmp_path.iterdir()
        assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_new_file_takes_nobodys_place(tmp_path):
    write_flushed(tmp_path / "file", b"bytes", mode=0o640)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) & 0o137 == 0
    with pytest.raises(FileExistsError), new_file(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_bytes() == b"bytes"

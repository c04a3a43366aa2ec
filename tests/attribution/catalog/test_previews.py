import errno
import os
from pathlib import Path

import pytest

from attribution.catalog import PreviewMissing, StorageFull
from attribution.catalog.previews import PreviewStore, digest


def test_files_are_named_after_their_content(tmp_path):
    store = PreviewStore(tmp_path / "previews")
    name = digest(b"data")
    store.store({name: b"data"})
    assert store.read(name) == b"data"
    assert list(store.files()) == [tmp_path / "previews" / name[:2] / f"{name}.jpg"]
    for _ in range(2):
        assert store.remove([store.path(name)]) == {}
        assert not store.has(name)
    assert store.remove([store.path("f" * 64)]) == {}


def test_what_is_damaged_counts_as_gone(tmp_path):
    store = PreviewStore(tmp_path)
    name = digest(b"data")
    store.store({name: b"data"})
    assert store.read_sound(name) == b"data"
    store.path(name).write_bytes(b"dat")
    with pytest.raises(FileNotFoundError, match="damaged"):
        store.read_sound(name)


def test_file_and_folder_are_synced_before_store_returns(tmp_path, monkeypatch):
    store = PreviewStore(tmp_path)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    name = digest(b"data")
    store.store({name: b"data"})
    shard = str(tmp_path / name[:2])
    assert synced[0].startswith(f"{shard}/.{name}")
    assert synced[1:] == [shard, str(tmp_path)]


def test_removed_files_are_synced_a_folder_at_a_time_and_stay_where_that_fails(
    tmp_path, monkeypatch
):
    store = PreviewStore(tmp_path)
    names = [f"{shard}{number}".ljust(64, "0") for shard in ("ab", "cd") for number in range(3)]
    store.store(dict.fromkeys(names, b"data"))
    synced: list[str] = []

    def fsync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        if synced[-1] == "cd":
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    stayed = store.remove([store.path(name) for name in names])
    assert list(stayed) == [store.path(name) for name in names[3:]]
    assert synced == ["ab", "cd"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    store = PreviewStore(tmp_path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / digest(b"data")[:2]).mkdir()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="free some space"):
        store.store({digest(b"data"): b"data"})
    assert list(store.files()) == []


def test_a_lost_preview_says_so(catalog, make_source, tmp_path):
    source = catalog.add("m1", [make_source(1)]).items[0].source
    (path,) = (tmp_path / "data" / "previews").glob("*/*")
    path.unlink()
    with pytest.raises(PreviewMissing, match="backup") as caught:
        catalog.preview(source.source_id)
    assert str(path) in str(caught.value)


def test_orphans_are_files_that_no_source_uses(catalog, make_source, tmp_path):
    catalog.add("m1", [make_source(1)])
    folder = tmp_path / "data" / "previews" / "ab"
    folder.mkdir(exist_ok=True)
    orphan = folder / f"{'ab' * 32}.jpg"
    unfinished = folder / ".abab.12.tmp"
    orphan.touch()
    unfinished.touch()
    assert catalog.checks.unused_previews(seconds=0) == (unfinished.name, orphan.name)

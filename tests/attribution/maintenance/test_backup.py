"""Backups are whole or not there, of one moment, and without what is gone; restores likewise."""

import fcntl
import json
import os
import shutil
import sqlite3
import threading

import pytest

from attribution.catalog import Catalog
from attribution.catalog.previews import PreviewStore
from attribution.index import Owner, SnapshotRefused, load_snapshot, open_index
from attribution.maintenance import (
    BackupRefused,
    FolderInUse,
    RestoreRefused,
    back_up,
    folder_lock,
    restore,
)
from tests.support.folders import (
    PixelEncoder,
    files_with,
    fill,
    preview_of,
    sha256_of,
)


def held(folder):
    with Catalog.open(folder) as catalog:
        return {source.sha256 for source in catalog.sources(limit=1000).items}


@pytest.fixture
def backup(folder, tmp_path):
    with Catalog.open(folder) as catalog:
        return back_up(catalog, folder, tmp_path / "backup").path


def bring_back(backup, folder, **options):
    return restore(backup, folder, snapshots=folder / "index", **options)


def test_everything_comes_back_in_a_new_epoch(folder, backup, tmp_path):
    target = tmp_path / "fresh"
    report = bring_back(backup, target)
    assert (report.sources, report.taken_down, report.without_preview) == (12, (), ())
    with Catalog.open(folder) as old, Catalog.open(target) as new:
        assert new.sources().items == old.sources().items
        assert new.generation() == old.generation()
        assert new.epoch != old.epoch
        for source in new.sources().items:
            assert new.preview(source.source_id) == old.preview(source.source_id)
        assert len(open_index(new, PixelEncoder(), target / "index").contents().ids) == 12
    assert not list(target.glob("*.partial"))


def test_added_backgrounds_come_back_and_others_stay(folder, tmp_path):
    kept = folder / "background"
    kept.mkdir()
    (kept / "one.safetensors").write_bytes(b"rows of one")
    (kept / "one.safetensors.partial").write_bytes(b"half")
    with Catalog.open(folder) as catalog:
        report = back_up(catalog, folder, tmp_path / "backup")
    assert report.backgrounds == 1
    (kept / "one.safetensors").write_bytes(b"others since")
    (kept / "two.safetensors").write_bytes(b"rows of two")
    bring_back(report.path, folder, force=True)
    assert (kept / "one.safetensors").read_bytes() == b"rows of one"
    assert (kept / "two.safetensors").read_bytes() == b"rows of two"
    bring_back(report.path, tmp_path / "fresh")
    assert files_with(tmp_path / "fresh", b"rows of one")
    (report.path / "background" / "one.safetensors").write_bytes(b"rows of 0ne")
    with pytest.raises(BackupRefused, match=r"one\.safetensors is not what was backed up"):
        bring_back(report.path, folder, force=True)


def test_a_backup_is_made_while_others_write_and_is_of_one_moment(folder, tmp_path):
    stop = threading.Event()

    def write():
        with Catalog.open(folder) as catalog:
            number = 100
            while not stop.is_set():
                fill(catalog, [number])
                catalog.delete(sha256s=[sha256_of(number - 1)])
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Catalog.open(folder) as catalog:
            reports = [back_up(catalog, folder, tmp_path / f"backup-{n}") for n in range(3)]
    finally:
        stop.set()
        writer.join()
    for report in reports:
        assert report.damaged == ()
        target = tmp_path / f"from-{report.path.name}"
        assert bring_back(report.path, target).without_preview == ()
        with Catalog.open(target) as catalog:
            assert catalog.checks.log().gaps == 0
            assert catalog.checks.log().not_added == catalog.checks.log().not_removed == ()


def test_what_is_deleted_while_the_backup_is_made_is_not_in_it(folder, tmp_path, monkeypatch):
    with Catalog.open(folder) as catalog:
        written = catalog.copies.write

        def write_then_delete(path):
            written(path)
            catalog.delete(sha256s=[sha256_of(5)])

        monkeypatch.setattr(catalog.copies, "write", write_then_delete)
        report = back_up(catalog, folder, tmp_path / "backup")
    assert (report.sources, report.damaged) == (11, ())
    assert files_with(report.path, b"number-5.jpg") == []
    assert sha256_of(5) not in held(report.path)


def test_a_preview_that_is_damaged_is_reported_and_not_copied(folder, tmp_path):
    store = PreviewStore(folder / "previews")
    [path] = [path for path in store.files() if path.read_bytes() == preview_of(3)]
    path.write_bytes(path.read_bytes()[:-9] + b"overwrite")
    with Catalog.open(folder) as catalog:
        [source] = [one for one in catalog.sources().items if one.sha256 == sha256_of(3)]
        report = back_up(catalog, folder, tmp_path / "backup")
    assert report.damaged == (source.source_id,)
    restored = bring_back(report.path, tmp_path / "fresh")
    assert (restored.sources, restored.without_preview) == (12, (source.source_id,))


def test_what_was_taken_down_stays_down(folder, backup):
    with Catalog.open(folder) as catalog:
        [source] = [one for one in catalog.sources().items if one.sha256 == sha256_of(4)]
        catalog.takedowns.take(sha256s=[sha256_of(4), sha256_of(99)], reason="a test")
        fill(catalog, [50])
    report = bring_back(backup, folder, force=True)
    assert report.taken_down == (source.source_id,)
    assert held(folder) == {sha256_of(number) for number in range(12)} - {sha256_of(4)}
    with Catalog.open(folder) as catalog:
        assert catalog.takedowns.among([sha256_of(4), sha256_of(99)]) == {
            sha256_of(4), sha256_of(99)
        }  # fmt: skip
    for number in (4, 50):
        middle = len(preview_of(number)) // 2
        for trace in (b"number-%d.jpg" % number, preview_of(number)[middle : middle + 64]):
            assert files_with(folder, trace) == []


def test_snapshots_of_before_are_never_trusted(folder, backup):
    kept = shutil.copytree(folder / "index", folder.parent / "kept")
    bring_back(backup, folder, force=True)
    assert not (folder / "index" / "CURRENT").exists()
    shutil.rmtree(folder / "index")
    shutil.copytree(kept, folder / "index")
    encoder = PixelEncoder()
    with Catalog.open(folder) as catalog:
        owner = Owner(encoder.model_id, encoder.dimension, encoder.parts, catalog.epoch)
    with pytest.raises(SnapshotRefused, match="epoch"):
        load_snapshot(folder / "index", owner)


def test_a_folder_in_use_or_full_is_not_touched(folder, backup):
    with Catalog.open(folder) as catalog:
        fill(catalog, [50])
    with pytest.raises(RestoreRefused, match="--force"):
        bring_back(backup, folder)
    with folder_lock(folder, "a service"), pytest.raises(FolderInUse, match="a service"):
        bring_back(backup, folder, force=True)
    assert sha256_of(50) in held(folder)


def test_another_process_with_the_catalog_open_writes_into_the_restored_one(folder, backup):
    with Catalog.open(folder) as beside:
        fill(beside, [50])
        bring_back(backup, folder, force=True)
        fill(beside, [51])
    assert held(folder) == {sha256_of(number) for number in (*range(12), 51)}


def test_a_backup_that_is_none_or_damaged_is_refused_and_the_folder_kept(folder, backup, tmp_path):
    with pytest.raises(BackupRefused, match="exists"), Catalog.open(folder) as catalog:
        back_up(catalog, folder, backup)
    with pytest.raises(BackupRefused, match="holds no backup"):
        bring_back(tmp_path / "nowhere", tmp_path / "fresh")
    manifest = json.loads((backup / "manifest.json").read_bytes())
    (backup / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(BackupRefused, match="later version"):
        bring_back(backup, tmp_path / "fresh")
    (backup / "manifest.json").write_text(json.dumps(manifest))
    database = backup / "catalog.sqlite3"
    data = bytearray(database.read_bytes())
    data[len(data) // 2] ^= 1
    database.write_bytes(data)
    with pytest.raises(BackupRefused, match="not what was backed up"):
        bring_back(backup, folder, force=True)
    assert len(held(folder)) == 12


def test_a_catalog_too_damaged_to_name_its_takedowns_is_replaced_only_on_request(folder, backup):
    for leftover in folder.glob("catalog.sqlite3-*"):
        leftover.unlink()
    (folder / "catalog.sqlite3").write_bytes(b"holiday pictures" * 1000)
    with pytest.raises(RestoreRefused, match="--forget-takedowns"):
        bring_back(backup, folder, force=True)
    assert bring_back(backup, folder, force=True, forget_takedowns=True).sources == 12
    assert len(held(folder)) == 12


@pytest.mark.parametrize(
    "point",
    [
        "attribution.catalog.copying:Copies.write",
        "attribution.maintenance.backup:_copy_previews",
        "attribution.maintenance.backup:write_flushed",
    ],
)
def test_a_backup_killed_half_way_is_not_there_and_the_next_one_is(
    folder, tmp_path, killed_at, point
):
    killed_at(point, "backup", folder, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    with pytest.raises(BackupRefused):
        bring_back(tmp_path / "backup", tmp_path / "fresh")
    with Catalog.open(folder) as catalog:
        assert back_up(catalog, folder, tmp_path / "backup").sources == 12
    assert not list(tmp_path.glob("*.partial"))


def test_two_backups_to_one_place_do_not_mix(folder, tmp_path):
    aside = tmp_path / "backup.partial"
    aside.mkdir()
    (aside / "of the other").write_bytes(b"")
    lock = os.open(aside, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with Catalog.open(folder) as catalog:
        with pytest.raises(BackupRefused, match="another backup to"):
            back_up(catalog, folder, tmp_path / "backup")
        assert [each.name for each in aside.iterdir()] == ["of the other"]
        os.close(lock)
        assert back_up(catalog, folder, tmp_path / "backup").sources > 0
    assert not (tmp_path / "backup" / "of the other").exists()


@pytest.mark.parametrize(
    ("point", "restored"),
    [
        ("attribution.maintenance.restore:_bring_previews", False),
        ("attribution.maintenance.restore:remove_snapshots", False),
        ("attribution.maintenance.restore:replace_database", False),
        ("attribution.maintenance.restore:_finish", True),
    ],
)
def test_a_restore_killed_half_way_leaves_the_old_or_the_new(
    folder, backup, killed_at, point, restored
):
    with Catalog.open(folder) as catalog:
        catalog.takedowns.take(sha256s=[sha256_of(4)], reason="a test")
        fill(catalog, [50])
    old = {sha256_of(number) for number in (*range(12), 50)} - {sha256_of(4)}
    new = old - {sha256_of(50)}
    killed_at(point, "restore", folder, backup)
    assert held(folder) == (new if restored else old)
    bring_back(backup, folder, force=True)
    assert held(folder) == new
    assert files_with(folder, b"number-4.jpg") == files_with(folder, b"number-50.jpg") == []


def test_a_restore_killed_within_sqlites_own_transaction_leaves_the_old(folder, backup):
    # What `replace_database` relies on: an interrupted online copy into a database rolls back.
    source = sqlite3.connect(backup / "catalog.sqlite3")
    target = sqlite3.connect(folder / "catalog.sqlite3")
    with pytest.raises(ZeroDivisionError):
        source.backup(target, pages=1, progress=lambda *_: 1 / 0)
    source.close()
    target.close()
    assert len(held(folder)) == 12

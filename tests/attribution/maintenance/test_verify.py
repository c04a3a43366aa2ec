"""Every kind of damage is found; what can be mended is, the rest is said to be beyond repair."""

import itertools
import os
import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from attribution.catalog import Catalog
from attribution.index import Companion, open_index, save_snapshot
from attribution.maintenance import FolderInUse, fill_embeddings, folder_lock, verify
from attribution.maintenance.write_ahead_log import lost_commits
from models.background import Background, write_background
from tests.support.folders import PixelEncoder, fill, save_index


def look(folder, **how):
    return verify(folder, lambda _: PixelEncoder(), snapshots=folder / "index", **how)


def kinds(verdict):
    return {finding.kind: finding.state for finding in verdict.findings}


def execute(folder, statement, *values):
    connection = sqlite3.connect(folder / "catalog.sqlite3")
    changed = connection.execute(statement, values).rowcount
    connection.commit()
    connection.close()
    assert changed != 0, "the damage was not done"


def mended(folder, kind):
    """Found, mended on request, and not there any more."""
    assert kinds(look(folder)) == {kind: "mendable"}
    assert kinds(look(folder, repair=True)) == {kind: "mended"}
    assert look(folder).findings == ()


def test_a_sound_folder_is_sound(folder):
    verdict = look(folder)
    assert (verdict.sound, verdict.sources, verdict.findings) == (True, 12, ())
    assert look(folder, repair=True).findings == ()


def test_after_a_copy_of_the_database_came_back_no_index_of_before_is_trusted(folder):
    with Catalog.open(folder) as catalog:
        catalog.copies.write(folder / "copy")
        fill(catalog, [77])
    save_index(folder)  # knows a change that is gone
    for suffix in ("", "-wal", "-shm"):
        (folder / f"catalog.sqlite3{suffix}").unlink(missing_ok=True)
    (folder / "copy").rename(folder / "catalog.sqlite3")
    with Catalog.open(folder) as catalog:
        before = catalog.epoch
    with folder_lock(folder, "a service"), pytest.raises(FolderInUse):
        look(folder, restored=True)
    assert look(folder, restored=True).sound
    with Catalog.open(folder) as catalog:
        assert catalog.epoch != before
    assert not list((folder / "index").iterdir())


def test_previews_missing_and_damaged_are_beyond_repair(folder):
    first, second, *_ = sorted((folder / "previews").glob("*/*.jpg"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    for repair in (False, True):
        verdict = look(folder, repair=repair)
        assert kinds(verdict) == {
            "preview-missing": "beyond-repair", "preview-damaged": "beyond-repair"
        }  # fmt: skip
        assert not verdict.sound
        assert all("restore a backup" in finding.advice for finding in verdict.findings)


def test_a_damaged_background_is_told_and_left_to_its_owner(folder):
    added = Background("another", np.eye(4, dtype=np.float32), np.zeros((4, 16, 16), np.uint8))
    write_background(folder / "background" / "another.safetensors", added)
    assert look(folder).sound
    shutil.copy(folder / "background/another.safetensors", folder / "background/third.safetensors")
    (folder / "background/another.safetensors").write_bytes(b"damaged")
    for repair in (False, True):
        verdict = look(folder, repair=repair)
        assert kinds(verdict) == {"background-damaged": "beyond-repair"}
        first, second = verdict.findings
        assert "another.safetensors cannot be read" in first.detail
        assert "third.safetensors was made by encoder another" in second.detail
        assert "attribution calibrate" in first.advice
    assert len(list((folder / "background").iterdir())) == 2


def test_previews_of_no_source_are_removed_unless_they_are_new(folder):
    stray = folder / "previews" / "ab" / ("ab" + "0" * 62 + ".jpg")
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"\xff\xd8\xff")
    assert look(folder).sound, "an addition may be about to commit"
    hour_ago = time.time() - 3600
    os.utime(stray, (hour_ago, hour_ago))
    mended(folder, "preview-unused")
    assert not stray.exists()


def test_embeddings_missing_are_made_from_previews(folder):
    execute(folder, "DELETE FROM embeddings WHERE vector_id % 2 = 0")
    shutil.rmtree(folder / "index")
    mended(folder, "embedding-missing")
    with Catalog.open(folder) as catalog:
        contents = open_index(catalog, PixelEncoder(), folder / "index").contents()
        assert len(contents.ids) == 12


@pytest.mark.parametrize("vector", [b"\0\0\xc0\x7f" * 24, b"\0" * 40], ids=["nan", "short"])
def test_embeddings_damaged_are_made_again(folder, vector):
    shutil.rmtree(folder / "index")
    execute(folder, "UPDATE embeddings SET vector = ? WHERE vector_id = 5", vector)
    mended(folder, "embedding-damaged")


def test_an_embedding_without_a_preview_to_make_it_from_is_beyond_repair(folder):
    execute(folder, "DELETE FROM embeddings WHERE vector_id = 1")
    shutil.rmtree(folder / "index")
    with Catalog.open(folder) as catalog:
        [name] = [name for name, users in catalog.checks.preview_users().items()
                  if users == [catalog.by_vector_ids([1])[1].source_id]]  # fmt: skip
    (folder / "previews" / name[:2] / f"{name}.jpg").unlink()
    verdict = look(folder, repair=True)
    assert kinds(verdict)["embedding-missing"] == "beyond-repair"


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM changes WHERE generation = 5"],
        ["DELETE FROM changes WHERE generation > 10"],
        ["UPDATE meta SET generation = 3"],
        ["DELETE FROM embeddings WHERE vector_id = 7", "DELETE FROM sources WHERE vector_id = 7"],
    ],
)
def test_a_log_of_changes_that_disagrees_is_completed_and_no_old_index_trusted(folder, statements):
    with Catalog.open(folder) as catalog:
        epoch = catalog.epoch
    for statement in statements:
        execute(folder, statement)
    shutil.rmtree(folder / "index")
    found = kinds(look(folder))
    assert found["changes-incomplete"] == "mendable"
    look(folder, repair=True)
    with Catalog.open(folder) as catalog:
        assert catalog.epoch != epoch
        facts = catalog.checks.log()
        assert (facts.not_added, facts.not_removed) == ((), ())


def test_a_damaged_snapshot_is_found_and_removed(folder):
    [rows] = (folder / "index").glob("*/base-part-0.npy")
    rows.write_bytes(rows.read_bytes()[:-4] + b"oops")
    with folder_lock(folder, "a service"):
        held = look(folder, repair=True)
        assert kinds(held) == {"snapshot-unusable": "beyond-repair"}
        assert "in use by a service" in held.findings[0].advice
    mended(folder, "snapshot-unusable")


def test_so_is_one_whose_null_is_damaged(folder):
    with Catalog.open(folder) as catalog:
        index = open_index(catalog, PixelEncoder(), folder / "index")
        kept = Companion({"what": "a null"}, index.generation, {"scores": np.zeros(3)})
        save_snapshot(index, folder / "index", kept)
    assert look(folder).sound
    [scores] = (folder / "index").glob("*/beside-scores.npy")
    scores.write_bytes(scores.read_bytes()[:-4] + b"oops")
    mended(folder, "snapshot-unusable")


def test_a_snapshot_that_disagrees_with_the_catalog_is_found(folder):
    other = np.full(24, 0.5, "<f4").tobytes()
    execute(folder, "UPDATE embeddings SET vector = ? WHERE vector_id = 5", other)
    mended(folder, "snapshot-unusable")


def test_a_snapshot_may_lag(folder):
    with Catalog.open(folder) as catalog:
        fill(catalog, [50, 51])
        catalog.delete(sha256s=[catalog.sources().items[0].sha256])
    assert look(folder).findings == ()


def test_a_damaged_database_is_told(folder):
    path = folder / "catalog.sqlite3"
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[4096 * page : 4096 * page + 64] = b"\xa5" * 64
    path.write_bytes(data)
    verdict = look(folder, repair=True)
    assert not verdict.sound
    assert {"database-damaged", "catalog-unusable"} & set(kinds(verdict))
    assert any("restore a backup" in finding.advice for finding in verdict.findings)


def test_a_database_index_that_lacks_rows_is_made_anew(folder):
    named = "FROM sqlite_master WHERE name = 'ix_sources_uri'"
    connection = sqlite3.connect(folder / "catalog.sqlite3")
    [row] = connection.execute(f"SELECT * {named}")
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute(f"DELETE {named}")
    connection.commit()
    connection.close()
    execute(folder, "UPDATE sources SET uri = 'moved' WHERE vector_id = 5")  # past the index
    connection = sqlite3.connect(folder / "catalog.sqlite3")
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    mended(folder, "database-damaged")


def test_damage_in_the_middle_of_the_write_ahead_log_is_found_before_it_is_lost(tmp_path):
    folder = tmp_path / "data"
    with Catalog.open(folder) as catalog:
        fill(catalog, range(4))
        crashed = shutil.copytree(folder, tmp_path / "crashed")  # as a killed process leaves it
    log = crashed / "catalog.sqlite3-wal"
    assert log.stat().st_size > 20 * 4120
    assert lost_commits(log) == 0
    sound = log.read_bytes()
    log.write_bytes(sound[:-100])
    assert lost_commits(log) == 0, "torn at the end, as by a power cut: nothing acknowledged"
    damaged = bytearray(sound)
    damaged[32 + 6 * 4120 + 500] ^= 0x10
    log.write_bytes(damaged)
    assert lost_commits(log) > 1
    verdict = look(crashed)
    assert kinds(verdict)["log-damaged"] == "beyond-repair"
    damaged = bytearray(sound)
    damaged[20] ^= 1
    log.write_bytes(damaged)
    assert lost_commits(log) >= 0


def test_a_log_that_is_begun_anew_while_it_is_read_is_not_damaged(tmp_path, monkeypatch):
    with Catalog.open(tmp_path / "data") as catalog:
        fill(catalog, range(4))
        log = tmp_path / "data/catalog.sqlite3-wal"
        sound = log.read_bytes()
    mixed = bytearray(sound)
    mixed[32 + 8 : 32 + 16] = b"new salt"  # the first frame of the next round, behind the old head
    found = iter((bytes(mixed), sound))
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(found))
    assert lost_commits(log) == 0
    found = itertools.repeat(bytes(mixed))
    assert lost_commits(log) > 1


def test_what_is_not_there_has_nothing_to_lose(tmp_path):
    assert lost_commits(tmp_path / "none-wal") == 0
    (tmp_path / "short-wal").write_bytes(b"7f")
    assert lost_commits(tmp_path / "short-wal") == 0


class Another(PixelEncoder):
    """Other vectors of the same pictures."""

    def encode(self, images):
        return super().encode(images)[:, ::-1].copy()


def test_a_second_set_of_embeddings_is_filled_while_the_first_serves(folder):
    other = Another(model_id="another")
    with Catalog.open(folder) as catalog:
        before = catalog.live_embeddings("pixels")
        assert not catalog.encoders.coverage("another").full
        report = fill_embeddings(catalog, other, batch_size=5)
        assert (report.embedded, report.lacking) == (12, ())
        assert catalog.encoders.coverage("another").full
        assert np.array_equal(catalog.live_embeddings("pixels").vectors, before.vectors)
        assert fill_embeddings(catalog, other).embedded == 0, "nothing twice"
        fill(catalog, [50])
        assert fill_embeddings(catalog, other).embedded == 1
        assert len(open_index(catalog, other, folder / "other").contents().ids) == 13
        assert catalog.encoders.drop("another") == 13
        assert len(open_index(catalog, PixelEncoder(), folder / "index").contents().ids) == 13


def test_filling_goes_on_after_an_interruption(folder):
    class Breaks(Another):
        def encode(self, images):
            if len(images) < 5:
                raise KeyboardInterrupt
            return super().encode(images)

    with Catalog.open(folder) as catalog:
        with pytest.raises(KeyboardInterrupt):
            fill_embeddings(catalog, Breaks(model_id="another"), batch_size=5)
        assert catalog.encoders.coverage("another").embedded == 10
        assert fill_embeddings(catalog, Another(model_id="another")).embedded == 2


def test_the_index_of_the_first_encoder_survives_the_changes_of_the_second(folder):
    save_index(folder)
    with Catalog.open(folder) as catalog:
        fill_embeddings(catalog, Another(model_id="another"))
    assert look(folder).findings == ()

"""The same index comes back, or a reason why not: never half a one, never a wrong one."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attribution.index import (
    Contents,
    EmbeddedIndex,
    Owner,
    Sizing,
    SnapshotAbsent,
    SnapshotRefused,
    load_snapshot,
    remove_snapshots,
    save_snapshot,
)
from models.digests import sha256_of
from models.parts import Part
from tests.support.changes import change_batch
from tests.support.disks import fill, small_disk

SIZINGS = {"flat": Sizing(), "pq": Sizing(flat_below=20, fewest=8, recall=0.0)}


@pytest.fixture
def owner(space) -> Owner:
    return Owner(space.model_id, space.dimension, space.parts, "epoch-1")


@pytest.fixture
def make_index(owner, unit_rows):
    """A base of 100 ids, three of them removed since, one replaced, and ten in the tail."""

    def make(sizing: Sizing = SIZINGS["flat"]) -> EmbeddedIndex:
        rows = unit_rows(110)
        names = ("a", "b") * 50
        index = EmbeddedIndex.from_rows(
            owner.parts,
            owner.dimension,
            owner.model_id,
            owner.epoch,
            Contents(np.arange(1, 101), rows[:100], names),
            generation=100,
            sizing=sizing,
        )
        index.apply(
            change_batch(
                114,
                dimension=16,
                add_ids=[50, *range(101, 111)],
                add_vectors=rows[[0, *range(100, 110)]],
                add_collections=["c"] * 11,
                remove_ids=[1, 2, 3],
            )
        )
        return index

    return make


def assert_equal(one: EmbeddedIndex, other: EmbeddedIndex, queries) -> None:
    left, right = one.contents(), other.contents()
    np.testing.assert_array_equal(left.ids, right.ids)
    np.testing.assert_array_equal(left.vectors, right.vectors)
    assert left.collections == right.collections
    assert one.stats() == other.stats()
    for part in one.parts:
        for collections in (None, frozenset("ac")):
            hits = [
                i.search(queries, 7, part=part.name, collections=collections) for i in (one, other)
            ]
            np.testing.assert_array_equal(hits[0].ids, hits[1].ids)
            np.testing.assert_array_equal(hits[0].scores, hits[1].scores)


def test_a_structure_that_so_few_rows_do_not_need_is_left(make_index, owner, tmp_path):
    save_snapshot(make_index(SIZINGS["pq"]), tmp_path / "index")
    assert load_snapshot(tmp_path / "index", owner).stats().kind == "flat"


def test_a_base_saved_when_such_ones_were_scanned_gets_a_structure(make_index, owner, tmp_path):
    index = make_index(SIZINGS["flat"])
    save_snapshot(index, tmp_path / "index")
    loaded = load_snapshot(tmp_path / "index", owner, sizing=SIZINGS["pq"])
    loaded.close()  # waits for what is built in the background
    assert loaded.stats().kind == "pq"
    assert loaded.contents().ids.tolist() == index.contents().ids.tolist()


def test_rows_of_a_base_with_a_structure_stay_on_the_disk(make_index, owner, tmp_path):
    index = make_index(SIZINGS["pq"])
    save_snapshot(index, tmp_path / "index")
    loaded = load_snapshot(tmp_path / "index", owner, sizing=SIZINGS["pq"])
    mapped = loaded.view.base.matrices
    assert all(isinstance(each.base, np.memmap) for each in mapped)
    remove_snapshots(tmp_path / "index")  # what is mapped outlives its name
    assert_equal(index, loaded, np.concatenate(index.view.base.matrices, axis=1)[:5])


@pytest.mark.parametrize("kind", SIZINGS)
def test_what_is_saved_comes_back_equal_and_goes_on(kind, make_index, owner, unit_rows, tmp_path):
    index = make_index(SIZINGS[kind])
    assert index.stats().kind == kind
    assert save_snapshot(index, tmp_path / "index") == 114
    loaded = load_snapshot(tmp_path / "index", owner, sizing=SIZINGS[kind])
    assert_equal(index, loaded, unit_rows(9, seed=5))
    assert not {1, 2, 3} & set(loaded.contents().ids.tolist())
    more = change_batch(
        115,
        dimension=16,
        add_ids=[111],
        add_vectors=unit_rows(1, seed=6),
        add_collections="b",
        remove_ids=[4, 101],
    )
    for either in (index, loaded):
        either.apply(more)
    assert_equal(index, loaded, unit_rows(9, seed=7))
    for either in (index, loaded):
        either.compact()
    assert_equal(index, loaded, unit_rows(9, seed=8))


def test_a_snapshot_of_whole_rows_as_earlier_versions_wrote_them_still_opens(
    make_index, owner, unit_rows, tmp_path
):
    index = make_index()
    save_snapshot(index, tmp_path)
    folder = tmp_path / "00000001"
    for name in ("base", "tail"):
        files = [folder / f"{name}-part-{place}.npy" for place in range(len(owner.parts))]
        np.save(folder / f"{name}-rows.npy", np.concatenate([np.load(f) for f in files], axis=1))
        for file in files:
            file.unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format"] = 1
    manifest["files"] = {
        path.name: [path.stat().st_size, sha256_of(path)] for path in folder.glob("*.npy")
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "CURRENT").write_text(f"00000001 {sha256_of(folder / 'manifest.json')}\n")
    assert_equal(index, load_snapshot(tmp_path, owner), unit_rows(9, seed=5))


def test_an_empty_index_can_be_saved(owner, tmp_path):
    save_snapshot(EmbeddedIndex(owner.parts, 16, owner.model_id, owner.epoch), tmp_path)
    assert load_snapshot(tmp_path, owner).stats().vectors == 0


def test_a_new_snapshot_takes_the_place_of_the_old(make_index, owner, tmp_path):
    index = make_index()
    for generation in (114, 200, 300):
        index.apply(change_batch(generation, dimension=16))
        save_snapshot(index, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000003", "CURRENT"]
    assert load_snapshot(tmp_path, owner).generation == 300


def test_nothing_saved_is_told_apart_from_damage(owner, tmp_path):
    with pytest.raises(SnapshotAbsent):
        load_snapshot(tmp_path / "never", owner)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model_id": "other"}, "its model_id is 'test-encoder', not 'other'"),
        ({"epoch": "epoch-2"}, "its epoch is 'epoch-1', not 'epoch-2'"),
        ({"dimension": 17}, "its dimension is 16, not 17"),
        ({"parts": (Part("whole", 0, 16),)}, "its parts is"),
    ],
)
def test_vectors_of_another_owner_are_refused(changed, reason, make_index, owner, tmp_path):
    save_snapshot(make_index(), tmp_path)
    with pytest.raises(SnapshotRefused, match=reason):
        load_snapshot(tmp_path, replace(owner, **changed))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def test_any_damage_to_any_file_is_refused_before_it_is_read(
    make_index, owner, tmp_path, monkeypatch
):
    sound = tmp_path / "sound"
    save_snapshot(make_index(SIZINGS["pq"]), sound)
    read = []
    monkeypatch.setattr("attribution.index.snapshot._read_view", lambda *_: read.append(True))
    names = [path.relative_to(sound) for path in sorted(sound.rglob("*")) if path.is_file()]
    assert len(names) == 14  # ten arrays, a structure for each part, the manifest, CURRENT
    for name in names:
        for damage in (truncated, flipped, emptied, Path.unlink):
            if (name.name, damage) == ("CURRENT", truncated):
                continue  # loses a line end, which says nothing
            folder = tmp_path / "damaged"
            shutil.copytree(sound, folder)
            damage(folder / name)
            with pytest.raises(SnapshotRefused):
                load_snapshot(folder, owner)
            shutil.rmtree(folder)
    assert not read


def test_everything_is_on_disk_before_it_is_named(make_index, tmp_path, monkeypatch):
    flushed: list[str] = []
    named: list[list[str]] = []
    replace_file = Path.replace

    def note(path: Path, target: Path) -> Path:
        named.append(flushed.copy())
        return replace_file(path, target)

    def fsync(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", note)
    save_snapshot(make_index(SIZINGS["pq"]), tmp_path)
    written = {path.name for path in (tmp_path / "00000001").iterdir()}
    assert len(named) == 1
    assert written | {"00000001.partial", "CURRENT.partial", tmp_path.name} == set(named[0])
    assert flushed[-1] == tmp_path.name  # and CURRENT's own new name after it


def test_a_manifest_of_another_format_is_refused(make_index, owner, tmp_path, monkeypatch):
    monkeypatch.setattr("attribution.index.snapshot.FORMAT", 3)
    save_snapshot(make_index(), tmp_path)
    monkeypatch.undo()
    with pytest.raises(SnapshotRefused, match="format is 3, not 2"):
        load_snapshot(tmp_path, owner)


@pytest.mark.parametrize("left", [0, 8192, 45_056])
def test_whoever_meets_the_full_disk_says_so(make_index, owner, tmp_path, left):
    """NumPy and FAISS have words of their own for it."""
    with small_disk(tmp_path / "disk", 4_000_000) as disk:
        index = make_index(SIZINGS["pq"])
        save_snapshot(index, disk / "index")
        filler = fill(disk, but=left)
        with pytest.raises(OSError, match="No space left"):
            save_snapshot(index, disk / "index")
        assert [path.name for path in (disk / "index").glob("*.partial")] == []
        assert load_snapshot(disk / "index", owner).generation == index.generation
        filler.unlink()
        save_snapshot(index, disk / "index")


def test_a_full_disk_leaves_the_old_snapshot(make_index, owner, tmp_path, monkeypatch):
    save_snapshot(make_index(), tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        save_snapshot(make_index(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001", "CURRENT"]
    assert load_snapshot(tmp_path, owner).generation == 114


def save_and_die(index: EmbeddedIndex, folder: Path, flushes: int) -> bool:
    """Save in a child that kill -9 ends after so many flushes; False once it outlives the save.

    What is on disk differs only from one flush to the next, so this meets every moment.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    try:
        left = iter(range(flushes))

        def fsync(descriptor: int) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = fsync
        save_snapshot(index, folder)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a child that shares the index")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_process_killed_while_saving_leaves_the_old_or_the_new(make_index, owner, tmp_path):
    index = make_index(SIZINGS["pq"])
    save_snapshot(index, tmp_path / "old")
    index.apply(change_batch(200, dimension=16))
    outcomes = []
    killed = True
    while killed:
        folder = tmp_path / f"killed-{len(outcomes)}"
        shutil.copytree(tmp_path / "old", folder)
        killed = save_and_die(index, folder, flushes=len(outcomes))
        survivor = load_snapshot(folder, owner)
        outcomes.append(survivor.generation)
        save_snapshot(survivor, folder)  # and the next save clears up what was left
        assert len(list(folder.iterdir())) == 2
    flushes = 12 + 2 + 1 + 2  # files; manifest and folder; the rename; CURRENT and its rename
    assert outcomes == [114] * (flushes - 1) + [200] * 2

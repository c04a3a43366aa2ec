"""What is deleted and compacted is in no file of the data folder, searched byte by byte."""

import shutil

import pytest

from attribution.catalog import Catalog
from attribution.index import Follower, holds_removed, open_index, save_snapshot
from attribution.maintenance import erase, folder_lock
from tests.support.folders import (
    PixelEncoder,
    files_with,
    fill,
    save_index,
    sha256_of,
)


@pytest.fixture(scope="module")
def crowded_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowded") / "data"
    with Catalog.open(folder) as catalog:
        known = fill(catalog, range(150))
        catalog.delete(source_ids=[known.pop(n).source_id for n in range(1, 150, 2)])
        known |= fill(catalog, range(200, 240))
        for source in catalog.sources().items[::3]:
            catalog.update(source.source_id, {"title": "t" * 300})
    save_index(folder)
    return folder, known


@pytest.fixture
def crowded(crowded_once, tmp_path):
    """A folder in whose database pages were split and rows moved about; and what is in it."""
    folder, known = crowded_once
    return shutil.copytree(folder, tmp_path / "data"), dict(known)


def test_a_source_taken_down_leaves_its_digest_and_nothing_else(crowded):
    folder, known = crowded
    gone = known.pop(40)
    kept = known[44]
    with Catalog.open(folder) as catalog:
        assert all(files_with(folder, trace) for trace in gone.traces()), "else this proves nothing"
        catalog.takedowns.take(source_ids=[gone.source_id], reason="a test")
        assert any(files_with(folder, trace) for trace in gone.traces()), "the log has them still"
        erased = erase(catalog, folder, folder / "index")
        assert erased.index_clean
        for trace in gone.traces():
            assert files_with(folder, trace) == []
        assert files_with(folder, gone.source_id.encode()) == []
        assert (folder / "catalog.sqlite3-wal").stat().st_size < 100_000
        for trace in kept.traces()[:-1]:
            assert files_with(folder, trace)
        # The digest is in the tombstones (a table and its index) and nowhere else.
        [path] = files_with(folder, gone.sha256.encode())
        assert path.name == "catalog.sqlite3"
        assert path.read_bytes().count(gone.sha256.encode()) == 2
        assert len(catalog.sources(limit=1000).items) == len(known)


def test_deleted_and_compacted_not_even_the_digest_stays(crowded):
    folder, known = crowded
    gone = [known.pop(number) for number in (0, 2, 76, 148, 239)]
    with Catalog.open(folder) as catalog:
        catalog.delete(source_ids=[one.source_id for one in gone])
        erase(catalog, folder, folder / "index")
        for one in gone:
            for trace in [*one.traces(), one.sha256.encode(), one.source_id.encode()]:
                assert files_with(folder, trace) == []


def test_a_clean_snapshot_stays_and_an_unclean_one_goes(folder):
    snapshots = folder / "index"
    with Catalog.open(folder) as catalog:
        index = open_index(catalog, PixelEncoder(), snapshots)
        deleted = catalog.delete(sha256s=[sha256_of(3)])
        assert holds_removed(snapshots, deleted.generation)
        Follower(catalog, index, "pixels").catch_up()
        save_snapshot(index, snapshots)
        assert holds_removed(snapshots, deleted.generation), "the dead row is in it"
        index.compact()
        save_snapshot(index, snapshots)
        assert not holds_removed(snapshots, deleted.generation)
        assert erase(catalog, folder, snapshots).index_clean
        assert (snapshots / "CURRENT").exists()
        catalog.delete(sha256s=[sha256_of(4)])
        assert erase(catalog, folder, snapshots).index_clean
        assert list(snapshots.iterdir()) == []


def test_beside_a_service_the_snapshot_is_left_to_it(folder):
    with Catalog.open(folder) as catalog, folder_lock(folder, "a service"):
        catalog.takedowns.take(sha256s=[sha256_of(3)], reason="a test")
        told: list[float] = []
        erased = erase(catalog, folder, folder / "index", patience=0.3, waiting=told.append)
        assert (erased.index_clean, told) == (False, [0.3])
        assert (folder / "index" / "CURRENT").exists()


@pytest.mark.parametrize(
    "point",
    [
        "attribution.catalog.removals:remove_discarded",
        "attribution.catalog.database:Database.rewrite",
        "attribution.maintenance.erasing:remove_snapshots",
    ],
)
def test_a_takedown_killed_half_way_is_finished_by_the_next_compaction(folder, killed_at, point):
    with Catalog.open(folder) as catalog:
        [gone] = fill(catalog, [77]).values()
    save_index(folder)
    killed_at(point, "takedown", folder, gone.sha256)
    with Catalog.open(folder) as catalog:
        assert catalog.takedowns.among([gone.sha256])
        assert gone.source_id not in {source.source_id for source in catalog.sources().items}
        erase(catalog, folder, folder / "index")
        for trace in gone.traces():
            assert files_with(folder, trace) == []
        assert len(catalog.sources().items) == 12

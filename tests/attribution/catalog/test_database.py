import sqlite3
import threading
from pathlib import Path

import pytest

from attribution.catalog import (
    Catalog,
    CatalogBusy,
    CatalogClosed,
    CatalogUnusable,
    StorageFull,
    database,
)
from tests.support.catalogs import only_sqlite


@only_sqlite
def test_connections_have_the_pragmas_of_the_catalog(catalog):
    with catalog._database.read() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }


@only_sqlite
def test_a_write_takes_the_lock_at_its_start(catalog, tmp_path, monkeypatch):
    other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", timeout=0, isolation_level=None)
    try:
        with catalog._database.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    finally:
        other.close()


def test_readers_see_the_last_commit_while_somebody_writes(catalog, make_source):
    catalog.add("m1", [make_source(1)])
    with catalog._database.write() as connection:
        connection.exec_driver_sql("UPDATE sources SET title = 'uncommitted'")
        source = catalog.sources().items[0]
        assert source.title is None
        assert catalog.preview(source.source_id)
        assert catalog.generation() == len(catalog.changes(0)) == len(catalog.live_embeddings("m1"))
        assert catalog.collections()[0].sources == 1


def test_a_locked_catalog_is_busy_and_recovers(tmp_path, make_source, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with Catalog.open(tmp_path) as catalog:
        other = sqlite3.connect(tmp_path / "catalog.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogBusy, match="try again"):
            catalog.put_collection("artists")
        other.execute("ROLLBACK")
        other.close()
        assert catalog.put_collection("artists").collection.name == "artists"


def test_a_thread_that_waits_too_long_for_its_turn_is_told(catalog, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with catalog._database.write(), pytest.raises(CatalogBusy):
        catalog.put_collection("artists")


@only_sqlite
def test_a_full_disk_is_named_and_nothing_is_written(catalog, make_source):
    with catalog._database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        # The limit holds for this pooled connection, which the next call takes again.
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    big = [make_source(n, metadata={"a": "x" * 10_000}) for n in range(20)]
    with pytest.raises(StorageFull, match="free some space"):
        catalog.add("m1", big)
    assert catalog.sources().items == ()
    assert catalog.generation() == 0


def test_a_closed_catalog_refuses_work(catalog, make_source):
    catalog.close()
    catalog.close()
    with pytest.raises(CatalogClosed):
        catalog.generation()
    with pytest.raises(CatalogClosed):
        catalog.add("m1", [make_source(1)])


@pytest.mark.parametrize(
    "url", ["nonsense", "mysterydb://host/x", "sqlite://", "sqlite:///:memory:"]
)
def test_urls_that_cannot_work(tmp_path, url):
    with pytest.raises(CatalogUnusable, match="URL"):
        Catalog.open(tmp_path, url=url)


def test_another_database_by_url(tmp_path):
    with Catalog.open(tmp_path / "files", url=f"sqlite:///{tmp_path / 'elsewhere.db'}") as catalog:
        assert catalog.collections()
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "files" / "catalog.sqlite3").exists()


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_open_after_close(tmp_path, make_source):
    def use():
        with Catalog.open(tmp_path) as catalog:
            threads = [
                threading.Thread(target=catalog.add, args=("m1", [make_source(number)]))
                for number in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    use()
    descriptors, running = open_descriptors(), threading.active_count()
    for _ in range(5):
        use()
    assert open_descriptors() == descriptors
    assert threading.active_count() == running

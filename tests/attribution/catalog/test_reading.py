"""A catalog that may be read and not written: beside its owner, after him, and after his death."""

import shutil

import pytest

from attribution.catalog import (
    Catalog,
    CatalogBusy,
    CatalogMissing,
    CatalogReadOnly,
    CatalogUnusable,
    reading,
)
from attribution.catalog.errors import CatalogUnfinished
from tests.support.folders import fill


@pytest.fixture
def folder(tmp_path):
    with Catalog.open(tmp_path / "data") as catalog:
        fill(catalog, range(3))
    return tmp_path / "data"


@pytest.fixture
def only_read(monkeypatch):
    monkeypatch.setattr(reading, "only_to_read", lambda file: file.is_file())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_is_read_and_no_file_is_made(folder, only_read):
    before = names(folder)
    with Catalog.existing(folder) as catalog:
        assert len(catalog.sources().items) == 3
        assert names(folder) == before
        with pytest.raises(CatalogReadOnly, match="may be read here, but not written"):
            catalog.put_collection("new")
        with pytest.raises(CatalogReadOnly):
            catalog.require_writable()
    assert names(folder) == before


def test_what_its_owner_writes_meanwhile_is_seen(folder, monkeypatch):
    with Catalog.open(folder) as owner:
        monkeypatch.setattr(reading, "only_to_read", lambda file: file.is_file())
        with Catalog.existing(folder) as catalog:
            assert len(catalog.sources().items) == 3
            fill(owner, [7])
            assert len(catalog.sources().items) == 4
            owner.close()
            assert len(catalog.sources().items) == 4
            assert not (folder / "catalog.sqlite3-shm").exists()


def test_a_transaction_that_a_writer_has_disturbed_fails(folder, only_read, monkeypatch):
    def disturbed(catalog):
        with catalog._database.read():
            monkeypatch.undo()
            with Catalog.open(folder) as owner:
                fill(owner, [8])

    with Catalog.existing(folder) as catalog, pytest.raises(CatalogBusy):
        disturbed(catalog)


def test_what_a_killed_writer_has_left_is_not_passed_over(folder, tmp_path, monkeypatch):
    with Catalog.open(folder) as owner:
        fill(owner, [9])
        killed = tmp_path / "killed"
        shutil.copytree(folder, killed)
    (killed / "catalog.sqlite3-shm").unlink()
    monkeypatch.setattr(reading, "only_to_read", lambda file: file.is_file())
    with pytest.raises(CatalogUnfinished, match="attribution verify"):
        Catalog.existing(killed)


def test_nothing_is_made_where_there_is_none(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(CatalogMissing, match=str(folder)):
            Catalog.existing(folder)
    with pytest.raises(CatalogMissing):
        Catalog.existing(tmp_path, url=f"sqlite:///{tmp_path}/other.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_a_catalog_is_told(tmp_path):
    (tmp_path / "catalog.sqlite3").touch()
    with pytest.raises(CatalogMissing):
        Catalog.existing(tmp_path)
    (tmp_path / "catalog.sqlite3").write_bytes(b"something else altogether" * 99)
    with pytest.raises(CatalogUnusable):
        Catalog.existing(tmp_path)

import sqlite3

import pytest

from attribution.catalog import (
    Catalog,
    CollectionNotFound,
    CollectionProtected,
    EmbeddingsMissing,
    SourceNotFound,
    removals,
)
from attribution.catalog.previews import PreviewStore
from tests.support.catalogs import only_sqlite


def test_a_deleted_source_is_gone_everywhere(catalog, make_source, tmp_path):
    source = catalog.add("m1", [make_source(1)]).items[0].source
    deleted = catalog.delete(source_ids=[source.source_id])
    assert deleted.source_ids == (source.source_id,)
    assert deleted.missing == ()
    assert deleted.generation == catalog.generation() == 2
    with pytest.raises(SourceNotFound):
        catalog.source(source.source_id)
    with pytest.raises(SourceNotFound):
        catalog.preview(source.source_id)
    with pytest.raises(EmbeddingsMissing):
        catalog.embeddings("m1", [source.vector_id])
    assert catalog.by_vector_ids([source.vector_id]) == {}
    assert catalog.models() == ()
    assert len(catalog.live_embeddings("m1")) == 0
    assert not list((tmp_path / "data" / "previews").glob("*/*"))
    last = catalog.changes(1)[0]
    assert (last.operation, last.vector_id, last.collection) == (
        "remove",
        source.vector_id,
        "default",
    )


def test_delete_by_digest_reaches_every_collection(catalog, make_source):
    catalog.put_collection("artists")
    items = catalog.add("m1", [make_source(1), make_source(1, collection="artists")]).items
    deleted = catalog.delete(sha256s=[make_source(1).sha256])
    assert deleted.source_ids == tuple(item.source.source_id for item in items)
    assert catalog.sources().items == ()


def test_delete_is_confined_to_the_collections_given(catalog, make_source):
    catalog.put_collection("artists")
    kept, gone = catalog.add("m1", [make_source(1), make_source(1, collection="artists")]).items
    deleted = catalog.delete(
        source_ids=[kept.source.source_id],
        sha256s=[make_source(1).sha256],
        collections=frozenset({"artists"}),
    )
    assert deleted.source_ids == (gone.source.source_id,)
    assert deleted.missing == (kept.source.source_id,)
    assert catalog.sources().items == (kept.source,)


@pytest.mark.parametrize(
    "name", ["src_aaaaaaaaaaaaaaaaaaaa", "", "nonsense", "\ud800", "a\0b", "'; DROP TABLE sources"]
)
def test_what_names_nothing_is_reported_as_missing(catalog, make_source, name):
    catalog.add("m1", [make_source(1)])
    deleted = catalog.delete(source_ids=[name, name], sha256s=["f" * 64])
    assert deleted.source_ids == ()
    assert deleted.missing == (name, "f" * 64)
    assert deleted.generation == 1


def test_preview_stays_while_another_source_uses_it(catalog, make_source):
    same = b"\xff\xd8\xff same"
    first, second = (
        item.source
        for item in catalog.add("m1", [make_source(n, preview=same) for n in (1, 2)]).items
    )
    catalog.delete(source_ids=[first.source_id])
    assert catalog.preview(second.source_id) == same
    catalog.delete(source_ids=[second.source_id])
    assert catalog.checks.unused_previews(seconds=0) == ()


def test_preview_left_by_a_failure_is_removed_at_the_next_opening(
    catalog, make_source, tmp_path, url, monkeypatch, caplog
):
    source = catalog.add("m1", [make_source(1)]).items[0].source

    def fail(self, paths):
        return dict.fromkeys(paths, OSError("the disk went away"))

    with monkeypatch.context() as patched:
        patched.setattr(PreviewStore, "remove", fail)
        assert catalog.delete(source_ids=[source.source_id]).source_ids == (source.source_id,)
    assert "the disk went away" in caplog.text
    assert len(catalog.checks.unused_previews(seconds=0)) == 1
    with Catalog.open(tmp_path / "data", url=url) as reopened:
        assert reopened.checks.unused_previews(seconds=0) == ()


def test_previews_go_some_at_a_time_and_a_kill_leaves_them_on_record(
    catalog, make_source, tmp_path, url, monkeypatch
):
    batch = catalog.add("m1", [make_source(number) for number in range(8)])
    removed, remove = [], PreviewStore.remove

    def killed(self, paths):
        stayed = remove(self, paths)
        removed.append(len(paths))
        if len(removed) == 2:
            raise KeyboardInterrupt
        return stayed

    with monkeypatch.context() as patched:
        patched.setattr(removals, "AT_ONCE", 3)
        patched.setattr(PreviewStore, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            catalog.delete(source_ids=[item.source.source_id for item in batch.items])
    assert removed == [3, 3]
    assert len(catalog.checks.unused_previews(seconds=0)) == 2
    assert catalog.compaction.remaining() == 5
    with Catalog.open(tmp_path / "data", url=url) as reopened:
        assert reopened.checks.unused_previews(seconds=0) == ()
        assert reopened.compaction.remaining() == 0


def test_a_collection_goes_with_its_sources(catalog, make_source):
    catalog.put_collection("artists")
    kept, *gone = catalog.add(
        "m1", [make_source(1)] + [make_source(n, collection="artists") for n in (1, 2)]
    ).items
    deleted = catalog.delete_collection("artists")
    assert deleted.source_ids == tuple(item.source.source_id for item in gone)
    assert deleted.generation == 5
    assert catalog.sources().items == (kept.source,)
    with pytest.raises(CollectionNotFound):
        catalog.collection("artists")
    assert [change.operation for change in catalog.changes(3)] == ["remove", "remove"]


def test_the_default_collection_and_unknown_ones_cannot_be_deleted(catalog):
    with pytest.raises(CollectionProtected):
        catalog.delete_collection("default")
    with pytest.raises(CollectionNotFound):
        catalog.delete_collection("nowhere")


@only_sqlite
def test_many_sources_are_deleted_at_once(catalog, make_source):
    shared = b"\xff\xd8\xff same"
    batch = catalog.add("m1", [make_source(n, preview=shared) for n in range(1500)])
    ids = [item.source.source_id for item in batch.items]
    assert catalog.delete(source_ids=ids).source_ids == tuple(ids)
    assert catalog.generation() == 3000


@only_sqlite
def test_deleted_rows_are_overwritten_on_disk(catalog, make_source, tmp_path):
    secret = "a title that must not stay behind"
    source = catalog.add("m1", [make_source(1, title=secret)]).items[0].source
    catalog.delete(source_ids=[source.source_id])
    catalog.close()
    database = tmp_path / "data" / "catalog.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert secret.encode() not in database.read_bytes()

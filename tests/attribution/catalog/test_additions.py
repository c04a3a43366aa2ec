import numpy as np
import pytest

from attribution.catalog import CollectionNotFound, InvalidField, SourceFilter


def test_what_is_added_is_read_back(catalog, make_source):
    new = make_source(
        1,
        title="Ein Stück Küste",
        creator="A. Person",
        licence="CC-BY-4.0",
        metadata={"tags": ["sea", "日本"], "year": 1999, "depth": 1.5, "ok": True, "none": None},
    )
    batch = catalog.add("m1", [new])
    (item,) = batch.items
    assert item.created
    assert batch.generation == catalog.generation() == 1
    source = catalog.source(item.source.source_id)
    assert source == item.source
    for field in ("collection", "sha256", "uri", "title", "creator", "licence", "width", "format"):
        assert getattr(source, field) == getattr(new, field)
    assert source.metadata == new.metadata
    assert source.revision == 1
    assert source.created_at == source.updated_at
    assert source.created_at.utcoffset().total_seconds() == 0
    assert catalog.preview(source.source_id) == new.preview
    assert np.array_equal(catalog.embeddings("m1", [source.vector_id]), new.embedding[None])


def test_metadata_comes_back_to_the_last_bit_and_in_its_order(catalog, make_source):
    extremes = {
        "z": [2**63 - 1, -(2**63), 0.1, 1.7976931348623157e308, 5e-324, -0.0, 1.0, 1, True],
        "a": {"\U0001f600 e\u0301": "\u00e9\ufffe\u200b", "": [[], {}]},
    }
    source = catalog.add("m1", [make_source(1, metadata=extremes)]).items[0].source
    assert repr(catalog.source(source.source_id).metadata) == repr(extremes)


def test_same_bytes_in_a_collection_are_one_source(catalog, make_source):
    first = catalog.add("m1", [make_source(1, title="kept")])
    again = catalog.add("m1", [make_source(1, title="ignored")])
    assert [item.created for item in again.items] == [False]
    assert again.items[0].source == first.items[0].source
    assert again.generation == first.generation
    assert len(catalog.sources().items) == 1


def test_same_bytes_within_one_batch_are_one_source(catalog, make_source):
    batch = catalog.add("m1", [make_source(1), make_source(2), make_source(1)])
    assert [item.created for item in batch.items] == [True, True, False]
    assert batch.items[0].source == batch.items[2].source
    assert batch.generation == 2


def test_same_bytes_in_two_collections_are_two_sources(catalog, make_source):
    catalog.put_collection("artists")
    batch = catalog.add("m1", [make_source(1), make_source(1, collection="artists")])
    assert [item.created for item in batch.items] == [True, True]
    found = catalog.sources(SourceFilter(sha256=make_source(1).sha256)).items
    assert [source.collection for source in found] == ["default", "artists"]


def test_held_source_receives_embedding_of_a_new_encoder(catalog, make_source):
    source = catalog.add("m1", [make_source(1)]).items[0].source
    other = np.array([0.0, 1.0], dtype=np.float32)
    batch = catalog.add("m2", [make_source(1, embedding=other)])
    assert not batch.items[0].created
    assert batch.generation == 2
    assert [change.operation for change in catalog.changes(0)] == ["add", "add"]
    assert {change.vector_id for change in catalog.changes(0)} == {source.vector_id}
    assert np.array_equal(catalog.embeddings("m2", [source.vector_id])[0], other)
    assert catalog.models() == ("m1", "m2")


def test_vector_ids_and_items_follow_the_batch(catalog, make_source):
    numbers = [5, 3, 9, 1, 7]
    items = catalog.add("m1", [make_source(number) for number in numbers]).items
    assert [item.source.uri for item in items] == [f"photos/{n}.jpg" for n in numbers]
    assert [item.source.vector_id for item in items] == [1, 2, 3, 4, 5]


def test_a_batch_larger_than_one_statement(catalog, make_source):
    shared = b"\xff\xd8\xff same"
    batch = catalog.add("m1", [make_source(number, preview=shared) for number in range(2100)])
    ids = [item.source.vector_id for item in batch.items]
    assert ids == list(range(1, 2101))
    assert batch.generation == 2100
    rows = catalog.embeddings("m1", ids[::-1])
    assert np.array_equal(rows[:, 0], np.arange(2100)[::-1])


def test_an_empty_batch_changes_nothing(catalog):
    batch = catalog.add("m1", [])
    assert batch.items == ()
    assert batch.generation == 0


def test_vector_ids_are_never_used_again(catalog, make_source):
    newest = catalog.add("m1", [make_source(1), make_source(2)]).items[-1].source
    catalog.delete(source_ids=[newest.source_id])
    again = catalog.add("m1", [make_source(2)]).items[0]
    assert again.created
    assert again.source.vector_id > newest.vector_id
    assert again.source.source_id != newest.source_id


def test_unknown_collection_adds_nothing(catalog, make_source):
    with pytest.raises(CollectionNotFound, match="create it first"):
        catalog.add("m1", [make_source(1), make_source(2, collection="nowhere")])
    assert catalog.sources().items == ()
    assert catalog.generation() == 0
    assert catalog.checks.unused_previews(seconds=0) == ()


def test_one_bad_field_adds_nothing(catalog, make_source):
    with pytest.raises(InvalidField, match="title"):
        catalog.add("m1", [make_source(1), make_source(2, title="x" * 513)])
    assert catalog.sources().items == ()


def test_an_encoder_cannot_change_its_dimension(catalog, make_source):
    catalog.add("m1", [make_source(1)])
    with pytest.raises(InvalidField, match="has 2 numbers where encoder 'm1' gives 3"):
        catalog.add("m1", [make_source(2, embedding=np.ones(2, dtype=np.float32))])
    mixed = [make_source(3), make_source(4, embedding=np.ones(2, dtype=np.float32))]
    with pytest.raises(InvalidField, match="embedding"):
        catalog.add("new", mixed)
    assert len(catalog.sources().items) == 1


def test_lost_preview_file_is_written_again_by_an_addition(catalog, make_source, tmp_path):
    first = catalog.add("m1", [make_source(1)]).items[0].source
    for path in (tmp_path / "data" / "previews").glob("*/*"):
        path.unlink()
    catalog.delete(source_ids=[first.source_id])
    again = catalog.add("m1", [make_source(1)]).items[0].source
    assert catalog.preview(again.source_id) == make_source(1).preview

import pytest

from attribution.catalog import Change, CollectionNotFound, changes


def test_the_log_has_every_write_in_order_without_gaps(catalog, make_source):
    one, two = (item.source for item in catalog.add("m1", [make_source(1), make_source(2)]).items)
    catalog.update(one.source_id, {"title": "x"})
    catalog.delete(source_ids=[two.source_id])
    assert catalog.changes(0) == (
        Change(1, "add", one.vector_id, "default"),
        Change(2, "add", two.vector_id, "default"),
        Change(3, "update", one.vector_id, "default"),
        Change(4, "remove", two.vector_id, "default"),
    )
    assert [change.generation for change in catalog.changes(1, limit=2)] == [2, 3]
    assert catalog.changes(4) == ()


def test_what_was_removed_since_is_told_apart(catalog, make_source):
    added = catalog.add("m1", [make_source(number) for number in range(4)])
    one, two, three, four = (item.source for item in added.items)
    catalog.delete(source_ids=[two.source_id])
    since = catalog.generation()
    catalog.update(one.source_id, {"title": "x"})
    catalog.delete(source_ids=[three.source_id, four.source_id])
    assert catalog.removed_after(0).tolist() == [two.vector_id, three.vector_id, four.vector_id]
    assert set(catalog.removed_after(since).tolist()) == {three.vector_id, four.vector_id}
    assert catalog.removed_after(catalog.generation()).tolist() == []


def test_a_failed_write_uses_up_no_number(catalog, make_source):
    def fail_before_the_commit():
        with catalog._database.write() as connection:
            assert changes.append(connection, "add", [(1, "default")]) == 1
            raise CollectionNotFound("nowhere")

    with pytest.raises(CollectionNotFound):
        fail_before_the_commit()
    assert catalog.generation() == 0
    assert catalog.changes(0) == ()
    assert catalog.add("m1", [make_source(1)]).generation == 1

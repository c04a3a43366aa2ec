"""An index brought to the catalog's present, by either way, is the same index."""

from dataclasses import replace

import numpy as np
import pytest

from attribution.index import EmbeddedIndex, Sizing, open_index, rebuild, save_snapshot


def assert_same(one: EmbeddedIndex, other: EmbeddedIndex) -> None:
    left, right = one.contents(), other.contents()
    np.testing.assert_array_equal(left.ids, right.ids)
    np.testing.assert_array_equal(left.vectors, right.vectors)
    assert left.collections == right.collections
    assert one.generation == other.generation


def test_a_new_catalog_opens_empty(catalog, space, tmp_path):
    index = open_index(catalog, space, tmp_path / "index")
    assert (index.generation, index.stats().vectors) == (0, 0)


@pytest.mark.parametrize(
    "sizing", [Sizing(), Sizing(flat_below=5, fewest=4, recall=0.0)], ids=["flat", "pq"]
)
def test_snapshot_and_replay_equal_a_rebuild(catalog, space, add_sources, tmp_path, sizing):
    folder = tmp_path / "index"
    catalog.put_collection("art")
    old = add_sources(20)
    index = open_index(catalog, space, folder, sizing=sizing)
    save_snapshot(index, folder)
    add_sources(5, "art")
    gone = [item.source for item in old.items[3:6]]
    catalog.delete(source_ids=[source.source_id for source in gone])

    reopened = open_index(catalog, space, folder, sizing=sizing)
    assert reopened.stats().tail == 5  # replayed, not rebuilt
    assert reopened.generation == catalog.generation()
    assert not {source.vector_id for source in gone} & set(reopened.contents().ids.tolist())
    assert_same(reopened, rebuild(catalog, space, sizing=sizing))

    save_snapshot(reopened, folder)
    again = open_index(catalog, space, folder, sizing=sizing)
    assert_same(again, reopened)
    assert not {source.vector_id for source in gone} & set(again.contents().ids.tolist())


def test_a_damaged_snapshot_is_rebuilt_with_a_warning(
    catalog, space, add_sources, tmp_path, caplog
):
    add_sources(6)
    folder = tmp_path / "index"
    save_snapshot(open_index(catalog, space, folder), folder)
    rows = folder / "00000001" / "base-part-0.npy"
    rows.write_bytes(rows.read_bytes()[:-4])
    index = open_index(catalog, space, folder)
    assert_same(index, rebuild(catalog, space))
    assert index.stats().vectors == 6
    assert "base-part-0.npy has 268 bytes, not 272; rebuilding from the catalog" in caplog.text


def test_a_snapshot_of_another_encoder_or_epoch_is_rebuilt(
    catalog, space, add_sources, tmp_path, caplog
):
    add_sources(2)
    folder = tmp_path / "index"
    save_snapshot(open_index(catalog, space, folder), folder)
    assert open_index(catalog, replace(space, model_id="new"), folder).stats().vectors == 0
    assert "its model_id is 'test-encoder', not 'new'" in caplog.text
    catalog.epoch = "after-a-restore"
    assert open_index(catalog, space, folder).stats().vectors == 2
    assert "its epoch is" in caplog.text


def test_a_snapshot_ahead_of_its_catalog_is_rebuilt(catalog, space, add_sources, tmp_path, caplog):
    """A database file put back by hand keeps its epoch, but lacks the changes made since."""
    add_sources(2)
    index = open_index(catalog, space, tmp_path)
    ahead = replace(index.view, generation=99)
    save_snapshot(
        EmbeddedIndex(space.parts, 16, space.model_id, catalog.epoch, view=ahead), tmp_path
    )
    assert open_index(catalog, space, tmp_path).generation == catalog.generation()
    assert "it is of generation 99, the catalog stands at 2" in caplog.text


def test_sources_that_come_and_go_during_a_rebuild_end_right(
    catalog, space, add_sources, tmp_path, monkeypatch
):
    first = add_sources(5).items
    read = catalog.live_embeddings

    def while_reading(model_id, *, after_vector_id=0, limit=2):
        page = read(model_id, after_vector_id=after_vector_id, limit=limit)
        if after_vector_id == 2:
            catalog.delete(source_ids=[first[0].source.source_id, first[4].source.source_id])
            add_sources(1)
        return page

    monkeypatch.setattr(catalog, "live_embeddings", while_reading)
    index = open_index(catalog, space, tmp_path)
    assert index.contents().ids.tolist() == [2, 3, 4, 6]
    assert index.generation == catalog.generation()

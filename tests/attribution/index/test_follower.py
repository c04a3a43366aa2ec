"""The follower on a real catalog."""

import threading
import time

import numpy as np
import pytest

from attribution.catalog import Catalog
from attribution.index import EmbeddedIndex, Follower
from attribution.index.protocol import ChangeBatch
from tests.support.waiting import PATIENCE, wait_for


@pytest.fixture
def index(catalog, space) -> EmbeddedIndex:
    return EmbeddedIndex(space.parts, space.dimension, space.model_id, catalog.epoch)


@pytest.fixture
def follower(catalog, index, space) -> Follower:
    return Follower(catalog, index, space.model_id)


def ids(index: EmbeddedIndex) -> list[int]:
    return index.contents().ids.tolist()


def test_catching_up_brings_what_was_added_and_drops_what_was_deleted(
    catalog, index, follower, add_sources, space
):
    catalog.put_collection("art")
    first, second = add_sources(3), add_sources(2, "art")
    assert follower.lag == 5
    assert follower.catch_up() == second.generation == index.generation
    assert follower.lag == 0
    live = catalog.live_embeddings(space.model_id)
    contents = index.contents()
    np.testing.assert_array_equal(contents.ids, live.vector_ids)
    np.testing.assert_array_equal(contents.vectors, live.vectors)
    assert contents.collections == ("default",) * 3 + ("art",) * 2

    gone = catalog.delete(source_ids=[first.items[1].source.source_id])
    assert follower.catch_up() == gone.generation
    assert first.items[1].source.vector_id not in ids(index)
    catalog.delete_collection("art")
    follower.catch_up()
    assert ids(index) == [first.items[0].source.vector_id, first.items[2].source.vector_id]


def test_what_comes_and_goes_between_two_looks_is_never_seen(catalog, index, follower, add_sources):
    batches: list[ChangeBatch] = []
    follower.on_change(batches.append)
    kept, brief = add_sources(1), add_sources(2)
    catalog.delete(source_ids=[item.source.source_id for item in brief.items])
    follower.catch_up()
    assert ids(index) == [kept.items[0].source.vector_id]
    assert [len(batch.add_ids) for batch in batches] == [1]
    assert index.stats().removed == 0


def test_a_source_deleted_between_its_change_and_its_embedding_does_not_stop_it(
    catalog, index, follower, add_sources, monkeypatch
):
    sources = [item.source for item in add_sources(3).items]
    read = catalog.changes

    def then_delete(after, *, limit=1000):
        changes = read(after, limit=limit)
        monkeypatch.undo()
        catalog.delete(source_ids=[sources[1].source_id])
        return changes

    monkeypatch.setattr(catalog, "changes", then_delete)
    assert follower.catch_up() == catalog.generation()
    assert ids(index) == [sources[0].vector_id, sources[2].vector_id]


def test_metadata_moves_the_generation_and_nothing_else(catalog, index, follower, add_sources):
    source = add_sources(1).items[0].source
    follower.catch_up()
    before = index.stats()
    catalog.update(source.source_id, {"title": "Still life"})
    assert follower.catch_up() == catalog.generation() > before.generation
    assert index.stats().tail == before.tail == 1


def test_a_source_without_an_embedding_of_this_encoder_is_passed_over(
    catalog, index, follower, add_sources
):
    add_sources(2, model_id="another-encoder")
    ours = add_sources(1)
    assert follower.catch_up() == ours.generation
    assert ids(index) == [ours.items[0].source.vector_id]


def test_long_histories_are_read_in_batches(index, follower, add_sources, monkeypatch):
    monkeypatch.setattr("attribution.index.follower.BATCH", 4)
    batches: list[ChangeBatch] = []
    follower.on_change(batches.append)
    add_sources(10)
    follower.catch_up()
    assert [batch.generation for batch in batches] == [4, 8, 10]
    assert len(ids(index)) == 10


def test_a_batch_that_has_all_there_is_is_not_followed_by_another_look(
    catalog, index, follower, add_sources, monkeypatch
):
    looks, read = [], catalog.changes

    def counted(after, *, limit=1000):
        looks.append(after)
        return read(after, limit=limit)

    monkeypatch.setattr(catalog, "changes", counted)
    add_sources(3)
    assert follower.catch_up() == 3
    assert looks == [0]


def test_another_encoders_or_another_epochs_index_is_refused(catalog, space):
    for model_id, epoch in (("other", catalog.epoch), (space.model_id, "before the restore")):
        index = EmbeddedIndex(space.parts, space.dimension, model_id, epoch)
        with pytest.raises(ValueError, match=r"holds vectors|was restored"):
            Follower(catalog, index, space.model_id)


def test_subscribers_hear_each_batch_once_it_is_searchable(index, follower, add_sources):
    heard = []
    follower.on_change(lambda batch: heard.append((batch.generation, index.generation)))
    add_sources(1)
    follower.catch_up()
    add_sources(2)
    follower.catch_up()
    assert heard == [(1, 1), (3, 3)]


def test_a_subscriber_that_fails_neither_stops_the_index_nor_the_others(
    index, follower, add_sources, caplog
):
    heard = []

    def broken(batch):
        raise ArithmeticError("null out of reach")

    follower.on_change(broken)
    follower.on_change(heard.append)
    add_sources(1)
    follower.catch_up()
    assert (index.generation, len(heard)) == (1, 1)
    assert "null out of reach" in caplog.text


def test_waiting_ends_when_the_generation_is_there_or_time_is_up(catalog, follower, add_sources):
    written = add_sources(2)
    assert follower.wait_for(written.generation, PATIENCE)
    assert follower.wait_for(written.generation, 0)
    start = time.monotonic()
    assert not follower.wait_for(written.generation + 1, 0.1)
    assert 0.1 <= time.monotonic() - start < PATIENCE
    later = threading.Timer(0.1, lambda: add_sources(1))
    later.start()
    assert follower.wait_for(written.generation + 1, PATIENCE)
    later.join()


def test_waiting_is_not_held_up_by_a_thread_that_hangs(follower, add_sources):
    release, stuck = threading.Event(), threading.Event()

    def hang(batch):
        stuck.set()
        release.wait(PATIENCE)

    follower.on_change(hang)
    add_sources(1)
    hanging = threading.Thread(target=follower.catch_up)
    hanging.start()
    assert stuck.wait(PATIENCE)
    written = add_sources(1)
    assert not follower.wait_for(written.generation, 0.1)
    release.set()
    hanging.join()
    assert follower.wait_for(written.generation, PATIENCE)


def test_many_threads_catching_up_apply_each_change_once(index, follower, add_sources, monkeypatch):
    monkeypatch.setattr("attribution.index.follower.BATCH", 2)
    heard = []
    follower.on_change(lambda batch: heard.extend(batch.add_ids.tolist()))
    add_sources(20)
    threads = [threading.Thread(target=follower.catch_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == ids(index) == list(range(1, 21))


def test_the_thread_follows_writers_in_other_processes(catalog, index, follower, tmp_path):
    """Another connection to the same database stands for another process."""
    follower.start(0.01)
    try:
        with pytest.raises(RuntimeError, match="runs already"):
            follower.start(0.01)
        with Catalog.open(tmp_path / "catalog") as other:
            other.put_collection("elsewhere")
            assert follower.wait_for(other.generation(), PATIENCE)
    finally:
        follower.stop()
    follower.stop()  # twice is once


def test_the_thread_outlives_what_fails(index, follower, add_sources, monkeypatch, caplog):
    def broken(*_, **__):
        raise OSError("database is locked")

    monkeypatch.setattr(Catalog, "changes", broken)
    written = add_sources(1)
    follower.start(0.01)
    try:
        wait_for(lambda: follower.failed is not None)
        assert (str(follower.failed), follower.lag) == ("database is locked", 1)
        monkeypatch.undo()
        wait_for(lambda: index.generation == written.generation)
        wait_for(lambda: follower.failed is None)
    finally:
        follower.stop()
    assert "trying again" in caplog.text

"""An index in an embedded Milvus against the one in memory, on the same catalog."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from attribution.catalog import Catalog
from attribution.index import (
    Follower,
    IndexLost,
    IndexUnavailable,
    Sizing,
    VectorsMissing,
    measured_recall,
    open_index,
)
from attribution.index.milvus import find_drift, forget_removed, mend_drift, open_milvus
from attribution.index.milvus.held import LISTS, Held
from attribution.index.milvus.server import Server
from tests.support import milvus
from tests.support.changes import change_batch
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> str:
    milvus.require()
    return str(tmp_path_factory.mktemp("milvus") / "vectors.db")


class WithLists(Server):
    """Builds what a server builds that is not embedded."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.embedded = False


@pytest.fixture
def both(catalog: Catalog, space, tmp_path, url):
    """Opens both indexes of the catalog as it is."""

    def opened(**options):
        return (
            open_index(catalog, space, tmp_path / "snapshots", **options),
            open_milvus(catalog, space, url, **options),
        )

    return opened


def held_of(catalog, space, url) -> Held:
    return Held(Server(url), space.parts, space.model_id, catalog.epoch)


def loads(held: Held) -> bool:
    """Whether it comes to memory: Milvus Lite reads what it is still writing, and fails."""
    held.server.call("release_collection", held.name)
    try:
        held.server.call("load_collection", held.name)
    except IndexUnavailable:
        return False
    return True


def assert_equal(first, second):
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.scores, second.scores)


def assert_alike(memory, remote, queries, names=("default", "art")):
    """Every search finds the same, to the last bit."""
    for part in ("structure", "appearance"):
        for k in (1, 7, 60):
            for collections in (None, *map(frozenset, ([names[0]], [names[1]], names, [], ["no"]))):
                asked = {"part": part, "collections": collections}
                assert_equal(memory.search(queries, k, **asked), remote.search(queries, k, **asked))
    assert remote.stats().vectors == memory.stats().vectors
    assert remote.generation == memory.generation
    for collections in map(frozenset, ([names[0]], names, [], ["no"])):
        assert remote.count(collections) == memory.count(collections)


def test_it_finds_what_the_index_in_memory_finds(catalog, both, add_sources, space, unit_rows):
    catalog.put_collection("art")
    many, few = add_sources(120), add_sources(9, "art")
    same = unit_rows(1, seed=7)
    catalog.encoders.drop_rows(  # one picture a hundred times: more ties than are proposed at first
        space.model_id, [item.source.source_id for item in (*many.items[:110], *few.items[:5])]
    )
    ids = [item.source.vector_id for item in (*many.items[:110], *few.items[:5])]
    catalog.encoders.fill(space.model_id, dict.fromkeys(ids, same[0]))
    memory, remote = both()
    queries = np.concatenate(
        [unit_rows(5, seed=99), same, catalog.embeddings("test-encoder", [117])]
    )
    assert_alike(memory, remote, queries)
    np.testing.assert_array_equal(remote.vectors(ids[::-1]), memory.vectors(ids[::-1]))
    wanted = {"part": "appearance"}
    np.testing.assert_array_equal(remote.vectors(ids, **wanted), memory.vectors(ids, **wanted))
    with pytest.raises(VectorsMissing, match="1 of the vector ids"):
        remote.vectors([ids[0], 12345])
    for wrong in ({"part": None}, {"part": "semantics"}):
        with pytest.raises(ValueError, match="name one of structure, appearance"):
            remote.search(queries, 1, **wrong)
    assert remote.trouble() is None


def test_it_follows_changes_and_goes_on_from_there(catalog, both, add_sources, space, unit_rows):
    catalog.put_collection("art")
    first = add_sources(6)
    memory, remote = both()
    followers = [Follower(catalog, index, space.model_id) for index in (memory, remote)]
    add_sources(4, "art")
    gone = [item.source for item in first.items[:2]]
    catalog.delete(source_ids=[source.source_id for source in gone])
    redone = first.items[3].source
    catalog.encoders.drop_rows(space.model_id, [redone.source_id])
    catalog.encoders.fill(space.model_id, {redone.vector_id: unit_rows(1, seed=5)[0]})
    for follower in followers:
        follower.catch_up()
    queries = np.concatenate([unit_rows(3, seed=98), unit_rows(1, seed=5)])
    assert_alike(memory, remote, queries)
    assert remote.search(queries[3:], 1, part="structure").ids.tolist() == [[redone.vector_id]]
    with pytest.raises(VectorsMissing):
        remote.vectors([gone[0].vector_id])
    latest = catalog.generation()
    assert remote.changed(frozenset({"default"})) == latest
    assert remote.changed(frozenset({"art"})) == 10
    assert remote.changed(frozenset({"no"})) == 0
    with pytest.raises(ValueError, match="cannot go back"):
        remote.apply(change_batch(1, dimension=16))
    catalog.delete_collection("art")
    _, again = both()
    assert again.generation == catalog.generation()
    assert again.stats().vectors == 4


def test_a_batch_on_its_way_is_not_seen(catalog, both, add_sources, space, url, unit_rows):
    add_sources(3)
    memory, remote = both()
    added = add_sources(2)
    rows = catalog.embeddings(space.model_id, [4, 5])
    held_of(catalog, space, url).put(np.array([4, 5]), rows, ["default"] * 2)  # killed after it
    assert_equal(remote.search(rows, 4, part="structure"), memory.search(rows, 4, part="structure"))
    Follower(catalog, remote, space.model_id).catch_up()
    assert remote.search(rows, 1, part="structure").ids.tolist() == [[4], [5]]
    assert remote.generation == added.generation


def test_a_fill_that_was_cut_short_goes_on_where_it_was(
    catalog, space, url, add_sources, monkeypatch
):
    monkeypatch.setattr("attribution.index.milvus.opening._PAGE", 4)
    add_sources(10)
    seen = []

    class Killed(Exception):
        pass

    def progress(done, total):
        seen.append((done, total))
        if len(seen) == 2:
            raise Killed

    with pytest.raises(Killed):
        open_milvus(catalog, space, url, progress=progress)
    catalog.delete(source_ids=[catalog.by_vector_ids([2])[2].source_id])
    assert find_drift(catalog, space, url) is None  # it is not filled, so nothing is wrong
    index = open_milvus(catalog, space, url, progress=progress)
    assert seen == [(4, 10), (8, 10), (10, 10)]
    assert not find_drift(catalog, space, url).found
    assert index.stats().vectors == 9
    open_milvus(catalog, space, url, anew=True, progress=progress)
    assert seen[3:] == [(4, 9), (8, 9), (9, 9)]


def test_drift_is_found_and_mended_and_no_answer_shows_it(
    catalog, both, space, url, add_sources, unit_rows
):
    catalog.put_collection("art")
    add_sources(5)
    memory, remote = both()
    held = held_of(catalog, space, url)
    assert not find_drift(catalog, space, url).found
    rows = unit_rows(3, seed=97)
    held.remove(np.array([2]))
    held.put(np.array([4]), rows[:1], ["default"])
    held.put(np.array([5]), catalog.embeddings(space.model_id, [5]), ["art"])
    held.put(np.array([77, 3_000_000_000]), rows[1:], ["default"] * 2)
    late = add_sources(1)  # on its way, which is no drift
    drift = find_drift(catalog, space, url)
    found = (drift.lacking.tolist(), drift.surplus.tolist(), drift.differing.tolist())
    assert found == ([2], [77, 3_000_000_000], [4, 5])
    asked = np.concatenate([rows, catalog.embeddings(space.model_id, [1])])
    surplus = remote.search(asked, 5, part="structure")
    assert set(surplus.ids.ravel().tolist()) == {-1, 1, 3, 4, 5}
    mend_drift(catalog, space, url, drift)
    assert not find_drift(catalog, space, url).found
    for index in (memory, remote):
        Follower(catalog, index, space.model_id).catch_up()
    assert remote.generation == late.generation
    assert_alike(memory, remote, asked)


def test_beyond_a_size_fewer_lists_are_read_and_recall_is_measured(
    catalog, space, url, add_sources, unit_rows, tmp_path, monkeypatch
):
    monkeypatch.setattr("attribution.index.milvus.opening.Server", WithLists)
    add_sources(300)
    open_milvus(catalog, space, url)
    held = held_of(catalog, space, url)
    held.server.call("flush", held.name)  # from then on there are lists
    wait_for(lambda: loads(held))
    held.server.call("release_collection", held.name)  # as after a start anew
    sizing = Sizing(flat_below=200, recall=0.9)
    index = open_milvus(catalog, space, url, sizing=sizing)
    state = held.state()
    assert 8 <= state.lists < LISTS
    assert index.stats().recall_at_10 == state.recall_at_10 >= 0.9
    queries = unit_rows(50, seed=96)
    exact = open_index(catalog, space, tmp_path / "snapshots")
    best = exact.search(queries, 10, part="structure").ids
    found = index.search(queries, 10, part="structure").ids
    share = (best[:, :, None] == found[:, None, :]).any(axis=2).mean()
    assert 0.7 < share < 1.0
    assert measured_recall(catalog, exact) == 1.0
    assert 0.7 < measured_recall(catalog, index) < 1.0
    within = {"part": "structure", "collections": frozenset({"default"})}
    assert_equal(index.search(queries, 10, **within), exact.search(queries, 10, **within))
    everything = index.search(queries[:2], 300, part="structure")
    assert (everything.ids >= 0).all()  # however few lists are read, as many as there are


def test_what_was_taken_down_leaves_milvus_without_a_service(
    catalog, both, space, url, add_sources
):
    added = add_sources(3)
    both()
    other = replace(space, model_id="another")  # in use once
    catalog.encoders.fill(
        "another", dict.fromkeys([1, 2, 3], catalog.embeddings(space.model_id, [1])[0])
    )
    open_milvus(catalog, other, url)
    catalog.encoders.drop("another")
    catalog.delete(source_ids=[added.items[1].source.source_id])
    forget_removed(catalog, url)
    for known, generation in ((space, 3), (other, 6)):
        held = held_of(catalog, known, url)
        assert held.rows(0, None).ids.tolist() == [1, 3]
        assert held.state().generation == generation
    catalog.delete(source_ids=[added.items[place].source.source_id for place in (0, 2)])
    forget_removed(catalog, url)
    assert held_of(catalog, space, url).count() == 0, "no encoder has a row any more"


def test_a_milvus_that_is_ahead_of_a_restored_catalog_is_filled_anew(
    catalog, both, space, url, add_sources, caplog
):
    add_sources(2)
    both()
    held = held_of(catalog, space, url)
    held.record(replace(held.state(), generation=9))
    _, index = both()
    assert (index.generation, index.stats().vectors) == (2, 2)
    assert "it is filled anew" in caplog.text


@pytest.mark.parametrize(
    ("url", "words"),
    [("milvus", "makes no sense"), ("ftp://host", "makes no sense"), ("http://", "no sense")],
)
def test_a_url_that_makes_no_sense_is_told(url, words):
    with pytest.raises(IndexUnavailable, match=words):
        Server(url)


def test_where_nothing_listens_it_says_so_and_goes_on_doing_so(monkeypatch):
    milvus.require()
    monkeypatch.setattr("attribution.index.milvus.server._SECONDS", 0.2)
    server = Server("http://user:secret@127.0.0.1:1")
    with pytest.raises(IndexUnavailable, match=r"Milvus at 127\.0\.0\.1:1 ") as told:
        server.call("list_collections")
    assert "secret" not in str(told.value)
    assert "127.0.0.1:1 does not answer" in server.trouble()


def test_without_its_client_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymilvus", None)
    with pytest.raises(IndexUnavailable, match=r"pip install 'attribution\[milvus\]'"):
        Server("http://127.0.0.1:1").call("list_collections")


def follower_of(catalog, space, url):
    index = open_milvus(catalog, space, url)
    return index, Follower(catalog, index, space.model_id)


def test_what_milvus_has_already_is_not_written_again(
    catalog, space, url, add_sources, monkeypatch
):
    add_sources(3)
    (first, leads), (second, follows) = (follower_of(catalog, space, url) for _ in range(2))
    catalog.delete(source_ids=[add_sources(2).items[0].source.source_id])
    assert leads.catch_up() == catalog.generation()
    for change in ("put", "remove", "record"):
        monkeypatch.setattr(Held, change, lambda *_: pytest.fail("written twice"))
    assert follows.catch_up() == catalog.generation()
    asked = catalog.embeddings(space.model_id, [1, 5])
    assert_equal(
        second.search(asked, 5, part="structure"), first.search(asked, 5, part="structure")
    )
    assert second.stats() == first.stats()


def test_a_milvus_that_comes_back_with_less_is_given_it_again(
    catalog, space, add_sources, tmp_path, caplog
):
    milvus.require()
    server = milvus.MilvusServer(tmp_path / "milvus")
    add_sources(4)
    index, follower = follower_of(catalog, space, server.url)
    server.stop()
    shutil.copytree(server.folder, tmp_path / "older")
    server.start()
    catalog.delete(source_ids=[add_sources(3).items[0].source.source_id])
    follower.catch_up()
    server.stop()
    shutil.rmtree(server.folder)
    (tmp_path / "older").rename(server.folder)
    server.start()
    late = add_sources(1)
    assert follower.catch_up() == late.generation
    assert "has gone back from generation 8 to 4" in caplog.text
    assert not find_drift(catalog, space, server.url).found
    found = index.search(catalog.embeddings(space.model_id, [8]), 8, part="structure")
    assert sorted(found.ids[0].tolist()) == [-1, 1, 2, 3, 4, 6, 7, 8]
    server.stop()


def test_rows_that_a_milvus_has_lost_while_it_was_away_are_written_before_it_goes_on(
    catalog, space, url, add_sources, caplog
):
    add_sources(4)
    index, follower = follower_of(catalog, space, url)
    held = held_of(catalog, space, url)

    def loses(vector_id):
        held.remove(np.array([vector_id]))
        index._held.server._note("it is away")  # as after a call that failed

    loses(2)
    add_sources(1)
    follower.catch_up()
    assert "has come back without 1 rows" in caplog.text
    assert held.rows(0, None).ids.tolist() == [1, 2, 3, 4, 5]
    loses(3)
    index.settle()
    assert held.count() == 4  # it is not known to be back
    assert index.count(frozenset({"default"})) == 4
    index.settle()
    assert held.rows(0, None).ids.tolist() == [1, 2, 3, 4, 5]
    assert index.stats().vectors == 5
    held.drop()
    add_sources(1)
    with pytest.raises(IndexLost, match="does not hold the rows"):
        follower.catch_up()
    assert index.generation == 5


def test_whoever_stood_still_while_another_filled_it_makes_nothing_whole(
    catalog, space, url, add_sources, monkeypatch
):
    add_sources(5)
    stopped = iter((None, IndexUnavailable("another process fills the index now")))

    def refilling():
        if error := next(stopped):
            raise error

    with monkeypatch.context() as patched:
        patched.setattr(Held, "create", lambda _: pytest.fail("it was not asked again"))
        with pytest.raises(IndexUnavailable, match="another process"):
            open_milvus(catalog, space, url, refilling=refilling)
    put = Held.put
    with monkeypatch.context() as patched:  # as where another one drops what was put
        patched.setattr(Held, "put", lambda held, ids, *rest: put(held, ids[1:], rest[0][1:],
                                                                  rest[1][1:]))  # fmt: skip
        with pytest.raises(IndexUnavailable, match="4 of the 5 rows"):
            open_milvus(catalog, space, url)
    held = held_of(catalog, space, url)
    assert not held.state().whole
    index, _ = follower_of(catalog, space, url)
    assert held.count() == 5
    held.record(replace(held.state(), whole=False, last_id=0))  # by the one that stood still
    with pytest.raises(IndexLost):
        index.settle()


def test_filling_ends_however_much_is_added_meanwhile(catalog, space, url, add_sources):
    add_sources(4)
    pages = []

    def progress(done, total):
        pages.append(done)
        assert len(pages) < 10, "it runs after what is added for ever"
        add_sources(2)

    index = open_milvus(catalog, space, url, progress=progress)
    assert index.generation == catalog.generation()
    assert index.stats().vectors == catalog.encoders.coverage(space.model_id).embedded == 6


def test_the_server_of_the_tests_opens_each_collection_once_whoever_asks_first(
    catalog, space, add_sources, tmp_path, monkeypatch
):
    milvus.require()
    server = milvus.MilvusServer(tmp_path / "milvus")
    add_sources(2)
    open_milvus(catalog, space, server.url)
    names = set(server.database.list_collections())
    server.stop()
    server.start()
    monkeypatch.setattr("milvus_lite.db.Collection", None)  # nobody opens one any more
    assert set(Server(server.url).call("list_collections")) == names
    server.stop()

"""The embedded index against a model that keeps a dictionary and sorts everything."""

import tempfile
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from attribution.index import (
    Contents,
    EmbeddedIndex,
    Owner,
    Sizing,
    VectorsMissing,
    load_snapshot,
    save_snapshot,
)
from attribution.index.faiss_structure import Structure
from models.parts import Part, consecutive_parts
from tests.support.changes import change_batch

PARTS = consecutive_parts([("structure", 6), ("appearance", 10)])
FLAT = Sizing()
CODED = Sizing(flat_below=20, fewest=1000, recall=0.9)
FEW = Sizing(flat_below=20, fewest=20, recall=0.0)
"""Codes of so few columns propose by halves; what is found is exact all the same."""
RESTLESS = Sizing(tail_rows=5, tail_share=0.0, removed_share=0.0)  # always compacting behind
OWNER = Owner("m", 16, PARTS, "e")


def empty(sizing: Sizing = FLAT) -> EmbeddedIndex:
    return EmbeddedIndex(PARTS, 16, "m", "e", sizing=sizing)


def filled(rows, sizing: Sizing = FLAT, collections=("a", "b")) -> EmbeddedIndex:
    """An index whose base holds ids 1..n, in turn in each collection."""
    names = tuple(collections[number % len(collections)] for number in range(len(rows)))
    contents = Contents(np.arange(1, len(rows) + 1), rows, names)
    return EmbeddedIndex.from_rows(PARTS, 16, "m", "e", contents, generation=1, sizing=sizing)


@cache
def palette(number: int) -> np.ndarray:
    """One of few rows, so that equal rows under several ids are common."""
    row = np.random.default_rng(number).standard_normal(16).astype(np.float32)
    for part in PARTS:
        row[part.columns] /= np.linalg.norm(row[part.columns])
    row.flags.writeable = False
    return row


def ranked(model: dict, query: np.ndarray, part: Part, k: int, collections) -> list[int]:
    """Ids by the slow way. Float64 keeps equal rows equal and different ones apart."""
    allowed = [i for i, (_, name) in model.items() if collections is None or name in collections]
    scores = {
        i: float(query[part.columns].astype(float) @ palette(model[i][0])[part.columns])
        for i in allowed
    }
    return sorted(allowed, key=lambda i: (-scores[i], i))[:k]


class AgainstModel(RuleBasedStateMachine):
    """Any order of adds, replacements, removes, compactions and restarts."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[int, tuple[int, str]] = {}
        self.next_id = 1
        self.generation = 0

    @initialize(sizing=st.sampled_from([FLAT, FEW, RESTLESS]))
    def start(self, sizing):
        self.sizing = sizing
        self.index = empty(sizing)

    def publish(self, adds: dict[int, tuple[int, str]], removes: list[int]) -> None:
        self.generation += 1
        self.index.apply(
            change_batch(
                self.generation,
                dimension=16,
                add_ids=list(adds),
                add_vectors=np.array([palette(p) for p, _ in adds.values()]).reshape(-1, 16),
                add_collections=[name for _, name in adds.values()],
                remove_ids=removes,
            )
        )
        self.model |= adds
        for removed in removes:
            self.model.pop(removed, None)

    @rule(
        rows=st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), max_size=25),
        data=st.data(),
    )
    def change(self, rows, data):
        adds = {self.next_id + number: row for number, row in enumerate(rows)}
        self.next_id += len(rows)
        some_ids = st.lists(st.integers(1, self.next_id + 2), max_size=8, unique=True)
        self.publish(adds, data.draw(some_ids))

    @rule(data=st.data(), row=st.integers(0, 30), name=st.sampled_from("abc"))
    def replace(self, data, row, name):
        if self.model:
            self.publish({data.draw(st.sampled_from(sorted(self.model))): (row, name)}, [])

    @rule()
    def compact(self):
        self.index.compact()
        assert self.index.stats().vectors == len(self.model)

    @rule()
    def restart(self):
        save_snapshot(self.index, Path(self.folder.name))
        self.index.close()
        self.index = load_snapshot(Path(self.folder.name), OWNER, sizing=self.sizing)

    @invariant()
    def holds_the_same_rows(self):
        contents = self.index.contents()
        assert contents.ids.tolist() == sorted(self.model)
        expected = [palette(self.model[i][0]) for i in sorted(self.model)]
        np.testing.assert_array_equal(contents.vectors, np.array(expected).reshape(-1, 16))
        assert contents.collections == tuple(self.model[i][1] for i in sorted(self.model))
        np.testing.assert_array_equal(self.index.vectors(contents.ids), contents.vectors)
        assert self.index.generation == self.generation

    @rule(
        number=st.integers(0, 60),
        part=st.sampled_from(PARTS),
        k=st.sampled_from([1, 3, 20, 200]),
        collections=st.none() | st.frozensets(st.sampled_from("abcd")),
    )
    def search(self, number, part, k, collections):
        query = palette(number)
        hits = self.index.search(query[None], k, part=part.name, collections=collections)
        expected = ranked(self.model, query, part, k, collections)
        found = [hit for hit in hits.ids[0].tolist() if hit >= 0]
        assert len(found) == len(expected)
        assert (hits.ids[0][len(found) :] == -1).all()
        assert np.isneginf(hits.scores[0][len(found) :]).all()
        exact = [palette(self.model[i][0])[part.columns] @ query[part.columns] for i in found]
        np.testing.assert_allclose(hits.scores[0][: len(found)], exact, atol=1e-6)
        if self.index.stats().kind == "flat" or k == 200:
            assert found == expected
        elif found:  # a structure may break a tie at its last candidate otherwise
            assert hits.scores[0, 0] == pytest.approx(
                palette(self.model[expected[0]][0])[part.columns] @ query[part.columns], abs=1e-6
            )

    def teardown(self):
        self.index.close()
        self.folder.cleanup()


TestAgainstModel = AgainstModel.TestCase
TestAgainstModel.settings = settings(
    max_examples=60, stateful_step_count=15, deadline=None, derandomize=True
)


@pytest.mark.parametrize("sizing", [FLAT, CODED], ids=["flat", "pq"])
def test_every_kind_of_base_finds_the_nearest(sizing, unit_rows):
    rows, queries = unit_rows(3000), unit_rows(20, seed=9)
    index = filled(rows, sizing)
    for part in PARTS:
        hits = index.search(queries, 10, part=part.name)
        exact = np.argsort(-(queries[:, part.columns] @ rows[:, part.columns].T), axis=1)[:, :10]
        found = [len(set(a) & set(b + 1)) for a, b in zip(hits.ids, exact, strict=True)]
        assert np.mean(found) >= 9.8
    stats = index.stats()
    assert stats.kind == ("flat" if sizing is FLAT else "pq")
    assert (stats.recall_at_10 is None) == (sizing is FLAT)
    assert stats.recall_at_10 is None or 0.98 <= stats.recall_at_10 <= 1


def test_a_structure_serves_filters_and_removals_that_are_too_large_to_scan(unit_rows):
    index = filled(unit_rows(3000), CODED, collections=("a", "b", "b"))
    index.apply(change_batch(2, dimension=16, remove_ids=range(1, 500)))
    queries = unit_rows(10, seed=3)
    hits = index.search(queries, 10, part="appearance", collections=frozenset("a"))
    assert (hits.ids >= 500).all()
    assert ((hits.ids - 1) % 3 == 0).all()


def test_hits_within_a_filter_depend_on_nothing_outside_it(unit_rows):
    rows, queries = unit_rows(3000), unit_rows(20, seed=3)
    beside = filled(rows, CODED, collections=("a", "b", "b"))
    alone = filled(rows, CODED, collections=("a", "b", "b"))
    alone.apply(change_batch(2, dimension=16, remove_ids=[n for n in range(1, 3001) if n % 3 != 1]))
    alone.compact()
    only_a = frozenset("a")
    for part in ("structure", "appearance"):
        expected = alone.search(queries, 10, part=part, collections=only_a)
        found = beside.search(queries, 10, part=part, collections=only_a)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.scores, expected.scores)
    assert beside.count(only_a) == alone.count(only_a) == 1000


def test_an_index_knows_when_a_collection_last_changed(unit_rows):
    index = filled(unit_rows(4))  # 1 and 3 in a, 2 and 4 in b, at generation 1
    a, b = frozenset("a"), frozenset("b")

    def add(generation, vector_id, collection):
        vectors = unit_rows(1, seed=generation)
        index.apply(
            change_batch(
                generation,
                dimension=16,
                add_ids=[vector_id],
                add_vectors=vectors,
                add_collections=[collection],
            )
        )

    assert (index.changed(a), index.changed(b), index.changed(a | b)) == (0, 0, 0)
    add(2, 5, "b")
    assert (index.changed(a), index.changed(b), index.changed(a | b)) == (0, 2, 2)
    index.apply(change_batch(3, dimension=16, remove_ids=[1]))
    assert (index.changed(a), index.changed(b)) == (3, 2)
    index.apply(change_batch(4, dimension=16, remove_ids=[5, 99]))
    assert (index.changed(a), index.changed(b)) == (3, 4)
    index.compact()
    add(5, 3, "b")  # moved: both have changed
    assert (index.changed(a), index.changed(b)) == (5, 5)
    assert index.changed(frozenset("c")) == 0
    assert index.changed(frozenset()) == 0


def test_a_structure_that_comes_back_short_is_made_up_for(unit_rows, monkeypatch):
    index = filled(unit_rows(300), FEW)
    nominate = Structure.nominate

    def one_only(self, part, queries, count):
        scores, positions = nominate(self, part, queries, count)
        positions[::2, 1:] = -1
        return scores, positions

    exact = index.search(unit_rows(5, seed=7), 10, part="structure")
    monkeypatch.setattr(Structure, "nominate", one_only)
    short = index.search(unit_rows(5, seed=7), 10, part="structure")
    np.testing.assert_array_equal(short.ids, exact.ids)


@pytest.mark.parametrize("sizing", [FLAT, CODED], ids=["flat", "pq"])
def test_scores_do_not_depend_on_the_batch_nor_on_where_a_row_lies(sizing, unit_rows):
    rows, queries = unit_rows(400), unit_rows(33, seed=1)
    in_base, in_tail = filled(rows, sizing), empty()
    in_tail.apply(
        change_batch(
            1,
            dimension=16,
            add_ids=range(1, 401),
            add_vectors=rows,
            add_collections=["a", "b"] * 200,
        )
    )
    together = in_base.search(queries, 5, part="appearance")
    alone = [in_tail.search(query[None], 5, part="appearance") for query in queries]
    np.testing.assert_array_equal(together.ids, np.concatenate([hits.ids for hits in alone]))
    np.testing.assert_array_equal(together.scores, np.concatenate([hits.scores for hits in alone]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_queries_that_are_not_finite_are_refused(bad, unit_rows):
    query = unit_rows(1)
    query[0, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        filled(unit_rows(5)).search(query, 1, part="structure")


def test_other_bad_questions_say_what_to_do(unit_rows):
    index = filled(unit_rows(5))
    with pytest.raises(ValueError, match="at least one hit"):
        index.search(unit_rows(1), 0, part="structure")
    with pytest.raises(ValueError, match=r"\(n, 16\) whole rows"):
        index.search(unit_rows(1)[:, :6], 1, part="structure")
    with pytest.raises(ValueError, match="name one of structure, appearance"):
        index.search(unit_rows(1), 1)
    with pytest.raises(ValueError, match="no part 'colour'"):
        index.search(unit_rows(1), 1, part="colour")
    with pytest.raises(VectorsMissing) as missing:
        index.vectors([1, 6])
    assert missing.value.vector_ids == (6,)


def test_no_queries_and_one_part_need_no_care(unit_rows):
    index = EmbeddedIndex((Part("whole", 0, 16),), 16, "m", "e")
    assert index.search(np.empty((0, 16), np.float32), 3).ids.shape == (0, 3)
    assert index.search(unit_rows(2), 3).ids.tolist() == [[-1] * 3] * 2
    assert index.vectors([]).shape == (0, 16)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (Part("a", 0, 9),),
        (Part("a", 4, 4),),
        (Part("a", 0, 4), Part("a", 4, 8)),
        (Part("a", 0, 4),),
        (Part("a", 0, 3), Part("b", 4, 8)),
        (Part("a", 0, 5), Part("b", 4, 8)),
    ],
    ids=["none", "outside", "empty", "same name", "short", "gap", "overlap"],
)
def test_parts_must_fill_the_row_side_by_side(parts):
    with pytest.raises(ValueError, match="part"):
        EmbeddedIndex(parts, 8, "m", "e")


def test_bad_batches_are_refused_and_change_nothing(unit_rows):
    index = filled(unit_rows(5))
    with pytest.raises(ValueError, match="another encoder"):
        index.apply(
            change_batch(
                2, dimension=4, add_ids=[9], add_vectors=np.ones((1, 4)), add_collections="a"
            )
        )
    with pytest.raises(ValueError, match="cannot go back"):
        index.apply(change_batch(0, dimension=16))
    with pytest.raises(ValueError, match="twice"):
        change_batch(
            2, dimension=2, add_ids=[1, 1], add_vectors=np.ones((2, 2)), add_collections="ab"
        )
    with pytest.raises(ValueError, match="not finite"):
        change_batch(
            2, dimension=1, add_ids=[1], add_vectors=np.array([[np.nan]]), add_collections="a"
        )
    with pytest.raises(ValueError, match="one collection for each"):
        change_batch(2, dimension=2, add_ids=[1], add_vectors=np.ones((1, 2)))
    assert (index.generation, index.stats().vectors) == (1, 5)


def test_an_add_already_held_costs_the_tail_nothing(unit_rows):
    rows = unit_rows(5)
    index = filled(rows, collections="a")
    again = {"dimension": 16, "add_ids": [1, 2], "add_vectors": rows[:2]}
    index.apply(change_batch(2, **again, add_collections=["a", "b"]))
    assert (index.stats().tail, index.stats().removed) == (1, 1)  # only the one that moved
    assert index.contents().collections == ("a", "b", "a", "a", "a")


def test_changes_and_searches_go_on_while_a_base_is_built(unit_rows, monkeypatch):
    rows = unit_rows(60)
    index = filled(rows[:50], FEW)
    building, go_on = threading.Event(), threading.Event()
    build = Structure.build.__func__

    def slowly(cls, *args):
        building.set()
        assert go_on.wait(10)
        return build(cls, *args)

    monkeypatch.setattr(Structure, "build", classmethod(slowly))
    compacting = threading.Thread(target=index.compact)
    compacting.start()
    assert building.wait(10)
    index.apply(
        change_batch(
            2,
            dimension=16,
            add_ids=[7, *range(51, 61)],
            add_vectors=rows[[0, *range(50, 60)]],
            add_collections="c" * 11,
            remove_ids=[1, 2, 60],
        )
    )
    before = index.contents()
    assert index.search(rows[55:56], 1, part="structure").ids[0, 0] == 56
    go_on.set()
    compacting.join(10)
    after = index.contents()
    assert index.stats().base == 50
    assert before.ids.tolist() == after.ids.tolist() == [*range(3, 60)]
    np.testing.assert_array_equal(before.vectors, after.vectors)
    assert before.collections == after.collections


def test_a_compaction_that_fails_leaves_the_index_whole(unit_rows, monkeypatch, caplog):
    index = empty(Sizing(flat_below=5, fewest=4, tail_rows=4))

    def broken(cls, *args):
        raise MemoryError("no room for the next base")

    monkeypatch.setattr(Structure, "build", classmethod(broken))
    rows = unit_rows(9)
    index.apply(
        change_batch(1, dimension=16, add_ids=range(9), add_vectors=rows, add_collections=["a"] * 9)
    )
    index.close()
    assert "compaction failed" in caplog.text
    assert index.search(rows, 1, part="structure").ids[:, 0].tolist() == list(range(9))


@pytest.mark.parametrize("sizing", [RESTLESS, Sizing(10, 8, 8, 0.0, 0.0, 0.0)], ids=["flat", "pq"])
def test_searches_see_whole_batches_whatever_happens_meanwhile(sizing, unit_rows):
    """Each batch adds a pair of ids and removes the pair that came twenty batches before."""
    index = empty(sizing)
    rows, query = unit_rows(600), unit_rows(1, seed=8)
    torn: list[list[int]] = []
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            hits = index.search(query, 100, part="appearance").ids[0]
            live = sorted(hits[hits >= 0].tolist())
            seen.add(len(live))
            pairs = {number // 2 for number in live}
            if len(live) != 2 * len(pairs) or (pairs and max(pairs) - min(pairs) >= 20):
                torn.append(live)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for batch in range(300):
        pair = [2 * batch, 2 * batch + 1]
        index.apply(
            change_batch(
                batch + 1,
                dimension=16,
                add_ids=pair,
                add_vectors=rows[pair],
                add_collections="ab",
                remove_ids=[] if batch < 20 else [number - 40 for number in pair],
            )
        )
    done.set()
    for reader in readers:
        reader.join()
    index.close()
    assert not torn
    assert 40 in seen
    assert index.contents().ids.tolist() == [*range(560, 600)]
    assert index.stats().base > 0


def test_a_column_that_is_much_longer_than_others_costs_them_no_code(unit_rows):
    """As a correction for hubs is, which queries weigh as little as any other column."""
    rows, queries = unit_rows(2000), unit_rows(20, seed=9)
    rows[:, 3] = -2 - 3 * np.random.default_rng(0).random(2000, dtype=np.float32)
    index = filled(rows, Sizing(flat_below=20, fewest=400, recall=0.0))
    assert index.stats().kind == "pq"
    part = PARTS[0]
    assert part.start <= 3 < part.stop
    exact = np.argsort(-(queries[:, part.columns] @ rows[:, part.columns].T), axis=1)[:, :10]
    found = index.search(queries, 10, part=part.name).ids - 1
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]) >= 9


def test_a_base_whose_codes_propose_too_little_is_scanned(unit_rows, caplog):
    index = filled(unit_rows(3000), Sizing(flat_below=20, fewest=20, recall=0.99))
    assert index.stats().kind == "flat"
    assert "of the ten nearest" in caplog.text
    index.apply(change_batch(2, dimension=16, remove_ids=[1]))
    index.close()
    assert caplog.text.count("of the ten nearest") == 1  # not tried again at every change

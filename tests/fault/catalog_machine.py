"""Catalog and index against a dict, over sequences of operations that hypothesis makes up.

Restarts, saved and damaged snapshots and compactions happen anywhere in between, and must not show.
"""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from attribution.catalog import Catalog, CollectionNotFound, NewSource, SourceTakenDown
from attribution.index import EmbeddedIndex, Follower, open_index, save_snapshot
from models.parts import Part, consecutive_parts

DIMENSION = 6
NUMBERS = st.integers(0, 15)
COLLECTIONS = st.sampled_from(["default", "art", "press"])


@dataclass(frozen=True)
class Space:
    """The encoder, as far as an index knows one."""

    model_id: str = "model"
    dimension: int = DIMENSION
    parts: tuple[Part, ...] = consecutive_parts([("whole", DIMENSION)])


def row(number: int) -> np.ndarray:
    vector = np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


class CatalogAndIndex(RuleBasedStateMachine):
    """`held` is the dict: (collection, number) -> title, in order of addition."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.held: dict[tuple[str, int], str | None] = {}
        self.collections = {"default"}
        self.buried: set[int] = set()

    @initialize()
    def start(self):
        self.catalog = Catalog.open(self.folder)
        self.index = open_index(self.catalog, Space(), self.folder / "index")
        self.follow()

    def follow(self):
        self.follower = Follower(self.catalog, self.index, "model")

    def teardown(self):
        if hasattr(self, "catalog"):
            self.catalog.close()
        shutil.rmtree(self.folder)

    def id_of(self, key):
        collection, number = key
        return self.catalog.known_digests(collection, [digest(number)])[digest(number)].source_id

    # What is written

    @rule(collection=COLLECTIONS, numbers=st.lists(NUMBERS, min_size=1, max_size=4))
    def add(self, collection, numbers):
        batch = [
            NewSource(
                collection=collection, sha256=digest(number), width=8, height=8, format="png",
                embedding=row(number), preview=b"\xff\xd8\xff %d" % number,
            )
            for number in numbers
        ]  # fmt: skip
        if collection not in self.collections:
            with pytest.raises(CollectionNotFound):
                self.catalog.add("model", batch)
            return
        if self.buried & set(numbers):
            with pytest.raises(SourceTakenDown):
                self.catalog.add("model", batch)
            return
        added = self.catalog.add("model", batch)
        for number, item in zip(numbers, added.items, strict=True):
            assert item.created == ((collection, number) not in self.held)
            self.held.setdefault((collection, number), None)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), title=st.none() | st.text("ab", max_size=2))
    def change(self, data, title):
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.catalog.update(self.id_of(key), {"title": title})
        self.held[key] = title

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def delete_by_id(self, data):
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.catalog.delete(source_ids=[self.id_of(key)])
        del self.held[key]

    @rule(number=NUMBERS, collection=st.none() | COLLECTIONS)
    def delete_by_digest(self, number, collection):
        within = None if collection is None else frozenset({collection})
        self.catalog.delete(sha256s=[digest(number)], collections=within)
        for key in [key for key in self.held if key[1] == number]:
            if within is None or key[0] in within:
                del self.held[key]

    @rule(number=NUMBERS)
    def take_down(self, number):
        self.catalog.takedowns.take(sha256s=[digest(number)], reason="a test")
        self.buried.add(number)
        self.held = {key: title for key, title in self.held.items() if key[1] != number}

    @precondition(lambda self: self.buried)
    @rule()
    def lift(self):
        number = self.buried.pop()
        assert self.catalog.takedowns.lift([digest(number)]) == (digest(number),)

    @rule(name=COLLECTIONS)
    def make_collection(self, name):
        self.catalog.put_collection(name)
        self.collections.add(name)

    @rule(name=st.sampled_from(["art", "press"]))
    def delete_collection(self, name):
        if name not in self.collections:
            return
        self.catalog.delete_collection(name)
        self.collections.discard(name)
        self.held = {key: title for key, title in self.held.items() if key[0] != name}

    # What must not show

    @rule()
    def follow_changes(self):
        self.follower.catch_up()

    @rule()
    def save(self):
        save_snapshot(self.index, self.folder / "index")

    @rule()
    def compact_index(self):
        self.index.compact()

    @rule()
    def compact_catalog(self):
        self.catalog.compaction.ask()
        self.catalog.compaction.run()

    @rule(cut=st.none() | st.floats(0, 1))
    def restart(self, cut):
        self.catalog.close()
        if cut is not None:
            for path in (self.folder / "index").glob("*/*.npy"):
                data = path.read_bytes()
                path.write_bytes(data[: int(cut * len(data))])
        self.start()

    @rule()
    def restart_from_nothing(self):
        self.catalog.close()
        shutil.rmtree(self.folder / "index", ignore_errors=True)
        self.start()

    # What must always hold

    @invariant()
    def the_catalog_is_the_dict(self):
        listed = self.catalog.sources(limit=1000).items
        numbers = {digest(number): number for number in range(16)}
        assert [
            ((source.collection, numbers[source.sha256]), source.title) for source in listed
        ] == list(self.held.items())
        assert {item.name: item.sources for item in self.catalog.collections()} == {
            name: sum(key[0] == name for key in self.held) for name in self.collections
        }
        for source in listed:
            number = numbers[source.sha256]
            assert self.catalog.preview(source.source_id) == b"\xff\xd8\xff %d" % number

    @invariant()
    def the_index_finds_what_the_dict_holds(self):
        self.follower.catch_up()
        self.found_as_by_hand(self.index, None)
        for name in ("default", "art"):
            self.found_as_by_hand(self.index, frozenset({name}))

    def found_as_by_hand(self, index: EmbeddedIndex, collections):
        query = row(1000)
        hits = index.search(query[None], 20, collections=collections)
        found = [int(vector_id) for vector_id in hits.ids[0] if vector_id >= 0]
        keys = [key for key in self.held if collections is None or key[0] in collections]
        sources = self.catalog.by_vector_ids(found)
        assert sorted((source.collection, source.sha256) for source in sources.values()) == sorted(
            (collection, digest(number)) for collection, number in keys
        )[:20] or len(keys) > 20  # fmt: skip
        scores = sorted((float(query @ row(number)) for _, number in keys), reverse=True)[:20]
        assert len(found) == len(scores)
        np.testing.assert_allclose(hits.scores[0][: len(found)], scores, atol=1e-5)


def check(*, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        CatalogAndIndex,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=examples < 50,
            suppress_health_check=list(HealthCheck),
        ),
    )

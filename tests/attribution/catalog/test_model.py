"""Random sequences of calls against a model of plain dictionaries."""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from attribution.catalog import Catalog, NewSource, SourceFilter

COLLECTIONS = ("default", "artists")
numbers = st.integers(0, 5)
collections = st.sampled_from(COLLECTIONS)


@dataclass
class Held:
    source_id: str
    vector_id: int
    title: str | None
    revision: int = 1
    models: set[str] = field(default_factory=set)


def preview(number):
    return b"\xff\xd8\xff preview %d" % (number // 2)  # two sources share one


def new_source(number, collection, title):
    return NewSource(
        collection=collection,
        sha256=hashlib.sha256(b"%d" % number).hexdigest(),
        width=1,
        height=1,
        format="png",
        title=title,
        embedding=np.array([number, 1.0], dtype=np.float32),
        preview=preview(number),
    )


class CatalogMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.catalog = Catalog.open(self.folder)
        self.catalog.put_collection("artists")
        self.held: dict[tuple[str, int], Held] = {}
        self.log: list[tuple[str, int]] = []
        self.newest = 0

    def teardown(self):
        self.catalog.close()
        shutil.rmtree(self.folder)

    @rule(
        batch=st.lists(st.tuples(collections, numbers), max_size=4),
        model_id=st.sampled_from(["m1", "m2"]),
        title=st.sampled_from([None, "a", "b"]),
    )
    def add(self, batch, model_id, title):
        added = self.catalog.add(model_id, [new_source(n, c, title) for c, n in batch])
        for (collection, number), item in zip(batch, added.items, strict=True):
            key = (collection, number)
            assert item.created == (key not in self.held)
            if item.created:
                assert item.source.vector_id > self.newest
                self.newest = item.source.vector_id
                self.held[key] = Held(item.source.source_id, item.source.vector_id, title)
            held = self.held[key]
            assert item.source.source_id == held.source_id
            if model_id not in held.models:
                held.models.add(model_id)
                self.log.append(("add", held.vector_id))
        assert added.generation == len(self.log)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), title=st.sampled_from([None, "a", "b"]))
    def update(self, data, title):
        held = self.held[data.draw(st.sampled_from(sorted(self.held)))]
        updated = self.catalog.update(held.source_id, {"title": title}, if_revision=held.revision)
        if held.title != title:
            held.title = title
            held.revision += 1
            self.log.append(("update", held.vector_id))
        assert (updated.title, updated.revision) == (held.title, held.revision)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def delete(self, data):
        keys = data.draw(st.sets(st.sampled_from(sorted(self.held)), min_size=1, max_size=3))
        gone = sorted((self.held.pop(key) for key in keys), key=lambda held: held.vector_id)
        deleted = self.catalog.delete(source_ids=[held.source_id for held in gone])
        assert deleted.source_ids == tuple(held.source_id for held in gone)
        self.log += [("remove", held.vector_id) for held in gone]
        assert deleted.generation == len(self.log)

    @rule()
    def delete_collection(self):
        gone = sorted(
            self.held.pop(key).vector_id for key in list(self.held) if key[0] == "artists"
        )
        self.catalog.delete_collection("artists")
        self.catalog.put_collection("artists")
        self.log += [("remove", vector_id) for vector_id in gone]

    @rule()
    def reopen(self):
        epoch = self.catalog.epoch
        self.catalog.close()
        self.catalog = Catalog.open(self.folder)
        assert self.catalog.epoch == epoch

    @invariant()
    def holds_what_the_model_holds(self):
        found = {source.source_id: source for source in self.catalog.sources().items}
        assert found.keys() == {held.source_id for held in self.held.values()}
        for (collection, _), held in self.held.items():
            source = found[held.source_id]
            assert (source.collection, source.vector_id) == (collection, held.vector_id)
            assert (source.title, source.revision) == (held.title, held.revision)
        for collection in self.catalog.collections():
            expected = sum(key[0] == collection.name for key in self.held)
            assert collection.sources == expected
            where = SourceFilter(collections=frozenset({collection.name}))
            assert len(self.catalog.sources(where).items) == expected

    @invariant()
    def embeddings_and_previews_are_those_of_live_sources(self):
        for model_id in ("m1", "m2"):
            page = self.catalog.live_embeddings(model_id)
            expected = {
                held.vector_id: number
                for (_, number), held in self.held.items()
                if model_id in held.models
            }
            numbers = [row[0] for row in page.vectors]
            assert dict(zip(page.vector_ids.tolist(), numbers, strict=True)) == expected
        for (_, number), held in self.held.items():
            assert self.catalog.preview(held.source_id) == preview(number)
        assert self.catalog.checks.unused_previews(seconds=0) == ()

    @invariant()
    def log_is_complete(self):
        changes = self.catalog.changes(0)
        assert [(change.operation, change.vector_id) for change in changes] == self.log
        assert self.catalog.generation() == len(self.log)


CatalogMachine.TestCase.settings = settings(
    max_examples=10, stateful_step_count=12, deadline=None, derandomize=True
)
TestCatalogAgainstModel = CatalogMachine.TestCase

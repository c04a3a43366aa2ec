"""The best pictures of a query: each once, whatever copies there are, and nothing that is gone."""

import numpy as np
import pytest

from attribution.candidates import candidates
from attribution.catalog import Catalog
from attribution.index import EmbeddedIndex, Follower
from attribution.retrieval.fusion import Fusion
from tests.support.spaces import SmallSpace, rows_of

SPACE = SmallSpace()
FUSION = Fusion(SPACE.parts, SPACE.reference)
K = 70


class Gallery:
    """Rows in a catalog and in an index that follows it when it is told to."""

    def __init__(self, catalog, new_source):
        self.catalog, self.new_source, self.held = catalog, new_source, 0
        self.index = EmbeddedIndex(SPACE.parts, SPACE.dimension, SPACE.model_id, catalog.epoch)
        self.follower = Follower(catalog, self.index, SPACE.model_id)

    def add(self, rows):
        new = [self.new_source(self.held + n, row) for n, row in enumerate(rows)]
        self.held += len(rows)
        items = self.catalog.add(SPACE.model_id, new).items
        self.follower.catch_up()
        return [item.source for item in items]

    def best(self, row, k=K, **options):
        asked = FUSION.prepare(row[None])
        found = candidates(self.index, self.catalog, asked, k, **options)
        ids = found.hits.ids[0]
        assert np.isneginf(found.hits.scores[0, ids < 0]).all()
        assert (np.diff(found.hits.scores[0, ids >= 0]) <= 0).all()
        return ids[ids >= 0].tolist(), found.copies[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory, new_source):
    """Forty pictures, and 700 copies of the first, each a little different."""
    with Catalog.open(tmp_path_factory.mktemp("candidates") / "data") as catalog:
        gallery = Gallery(catalog, new_source)
        rows = rows_of(1, 40)
        first = gallery.add(rows)
        away = 0.01 * np.random.default_rng(2).normal(size=(700, SPACE.dimension))
        copies = gallery.add((rows[0] + away).astype(np.float32))
        yield gallery, rows, first, copies


def test_copies_crowd_nothing_out_and_are_told(shared):
    gallery, rows, first, copies = shared
    found, others = gallery.best(rows[0])
    shown = {source.vector_id for source in [first[0], *copies]}
    assert found[0] in shown
    assert set(found[1:]) == {source.vector_id for source in first[1:]}
    assert others.keys() == {found[0]}
    assert set(others[found[0]].tolist()) == shown - {found[0]}


def test_a_list_is_full_where_as_many_pictures_are_held_each_twice(catalog, new_source):
    gallery = Gallery(catalog, new_source)
    rows = rows_of(4, 150)
    first, second = gallery.add(rows), gallery.add(rows)
    found, others = gallery.best(rows[3] + 0.3 * rows[8], k=100)
    assert len(found) == 100
    copy_of = {a.vector_id: b.vector_id for a, b in zip(first, second, strict=True)}
    assert {each: copies.tolist() for each, copies in others.items()} == {
        each: [copy_of[each]] for each in found
    }


def test_only_the_nearest_sources_count_as_neighbours_copies_among_them(shared):
    gallery, rows, _, _ = shared
    asked = FUSION.prepare(np.stack([rows[0], -rows[0]]))
    found = candidates(gallery.index, gallery.catalog, asked, K)
    assert found.near.tolist() == [1, 40]  # a hundred copies of the first come first, or last
    pictures = (found.hits.ids >= 0).sum(axis=1)
    assert pictures.tolist() == [40, 40]
    for near, groups in zip(found.near, found.groups, strict=True):
        assert (np.flatnonzero(groups == np.arange(K)) == np.arange(near)).all()


def test_a_query_of_another_picture_ranks_as_if_there_were_no_copies(shared, catalog, new_source):
    gallery, rows, first, _ = shared
    few = Gallery(catalog, new_source)
    alone = few.add(rows)
    names = {source.vector_id: place for place, source in enumerate(first)}
    found, _ = gallery.best(rows[7] + 0.2 * rows[9])
    expected, others = few.best(rows[7] + 0.2 * rows[9])
    places = {source.vector_id: place for place, source in enumerate(alone)}
    assert not others
    mine = [names.get(each, 0) for each in found]  # whichever copy stands for the first
    assert mine[:5] == [places[each] for each in expected][:5]
    assert sorted(mine) == list(range(40))


def test_many_queries_have_the_answers_of_single_ones(shared):
    gallery, rows, _, _ = shared
    asked = np.concatenate([rows[:3], rows_of(5, 3)])
    together = candidates(gallery.index, gallery.catalog, FUSION.prepare(asked), K)
    for place, row in enumerate(asked):
        found, others = gallery.best(row)
        ids = together.hits.ids[place]
        assert ids[ids >= 0].tolist() == found
        assert together.copies[place].keys() == others.keys()


def test_what_is_left_out_or_deleted_leaves_no_gap(catalog, new_source):
    gallery = Gallery(catalog, new_source)
    rows = rows_of(3, 12)
    twice = np.concatenate([rows, rows[:1]])
    sources = gallery.add(twice)
    row = rows[0] + 0.5 * rows[1]
    found, others = gallery.best(row, k=4)
    assert found[:2] == [sources[0].vector_id, sources[1].vector_id]
    assert others[found[0]].tolist() == [sources[12].vector_id]
    left_out, _ = gallery.best(row, k=4, left_out=[{sources[0].vector_id}])
    assert left_out == [sources[12].vector_id, *found[1:]]
    catalog.delete(source_ids=[sources[0].source_id, sources[1].source_id])  # the index lags
    gone, others = gallery.best(row, k=4)
    assert gone[:2] == [sources[12].vector_id, found[2]]
    assert len(gone) == 4
    assert not others


def test_nothing_held_is_nothing_found(catalog, new_source):
    gallery = Gallery(catalog, new_source)
    assert gallery.best(rows_of(1, 1)[0]) == ([], {})

"""A null that has followed any changes is exactly that of a fresh calibration."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attribution.calibration import Calibration
from attribution.calibration.nulls import FilteredNulls, FollowedNull, ScoredBackground
from attribution.calibration.reference import Reference
from attribution.index import EmbeddedIndex
from attribution.retrieval.fusion import Fusion
from models.background import GENERATED, LAUNDERED, PHOTO, Background
from tests.support.changes import change_batch
from tests.support.spaces import SmallSpace, rows_of

OTHER = frozenset({"other"})
SIZES = {"photo": 60, "generated": 44, "laundered": 44}


@pytest.fixture(autouse=True)
def _small_strata(monkeypatch):
    """Let 44 images be a stratum: following sources costs as much as there are images."""
    monkeypatch.setattr("attribution.calibration.null.SMALLEST_STRATUM", 40)


def background_of(space):
    sizes = list(SIZES.values())
    strata = np.repeat([PHOTO, GENERATED, LAUNDERED], sizes).astype(np.uint8)
    pictures = np.random.default_rng(1).integers(0, 256, (sum(sizes), 16, 16), dtype=np.uint8)
    return Background("small", space.query_rows(5, sum(sizes)), pictures, strata)


class World:
    """An index whose changes a calibration follows, as behind a follower."""

    def __init__(self, catalog, space, rule):
        self.catalog, self.space = catalog, space
        self.index = EmbeddedIndex(space.parts, space.dimension, "small", catalog.epoch)
        self.fusion = Fusion(space.parts, space.reference, space.views, rule)
        self.calibration = self.fresh()
        self.rows = rows_of(77, 1600)
        self.rows[200:260] = self.rows[100:160]  # doubles
        self.rows[1300:1400] = self.rows[100:200]

    def fresh(self):
        calibration = Calibration(self.index, self.fusion, background_of(self.space), self.catalog)
        calibration.build()
        return calibration

    def change(self, add=(), remove=()):
        add = np.array(add, np.int64)
        batch = change_batch(
            self.index.generation + len(add) + len(remove),
            dimension=24,
            add_ids=add,
            add_vectors=self.rows[add],
            add_collections=["other" if number % 3 else "default" for number in add],
            remove_ids=np.array(remove, np.int64),
        )
        self.index.apply(batch)
        self.calibration.apply(batch)


def strata_of(calibration, collections=None):
    current = calibration.current(collections)
    assert current.state.state == "fresh"
    return {stratum.name: stratum.statistics for stratum in current.null.strata}


def assert_same(one, other):
    assert one.keys() == other.keys() == {"photo", "generated", "laundered"}
    for name in one:
        assert np.array_equal(one[name], other[name]), name


@pytest.fixture(params=[("max-standardised", 1), ("harmonic-mean-p", 1), ("harmonic-mean-p", 2)])
def world(request, catalog):
    rule, views = request.param
    return World(catalog, SmallSpace(views=views), rule)


def test_adding_and_deleting_a_thousand_sources_leaves_the_p_values_of_a_fresh_one(world):
    world.change(add=range(300))
    assert strata_of(world.calibration, OTHER)  # a filter that then has to follow
    for start in (300, 301, 310, 700):  # one source, a few, many
        stop = {300: 301, 301: 310, 310: 700, 700: 1300}[start]
        world.change(add=range(start, stop))
    fresh = world.fresh()
    assert_same(strata_of(world.calibration), strata_of(fresh))
    assert_same(strata_of(world.calibration, OTHER), strata_of(fresh, OTHER))

    world.change(remove=[5])
    world.change(remove=range(100, 300), add=range(1300, 1310))
    world.change(remove=range(500, 1300))
    fresh = world.fresh()
    assert_same(strata_of(world.calibration), strata_of(fresh))
    assert_same(strata_of(world.calibration, OTHER), strata_of(fresh, OTHER))
    queries = np.linspace(-1, 9, 500, dtype=np.float32)
    p_values = [each.current().null.p_values(queries) for each in (world.calibration, fresh)]
    assert np.array_equal(*p_values)


def test_a_source_that_comes_and_goes_leaves_no_trace(world):
    world.change(add=range(300))
    before = strata_of(world.calibration)
    world.change(add=range(300, 420))
    assert not np.array_equal(strata_of(world.calibration)["photo"], before["photo"])
    world.change(remove=range(300, 420))
    assert_same(strata_of(world.calibration), before)


def test_readers_see_whole_nulls_while_sources_come_and_go(catalog):
    world = World(catalog, SmallSpace(), "harmonic-mean-p")
    world.change(add=range(100))
    done, seen = threading.Event(), []

    def read(collections):
        while not done.wait(0.01):
            wanted = world.index.generation
            current = world.calibration.current(collections)
            if current.null is None:
                assert current.state.state == "building"
                continue
            assert current.null.generation >= wanted
            assert [len(s.statistics) for s in current.null.strata] == list(SIZES.values())
            seen.append(current.null.generation)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, each) for each in (None, None, OTHER)]
        try:
            for start in range(100, 1100, 125):
                world.change(add=range(start, start + 125))
                world.change(remove=range(start - 100, start - 40))
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert len(set(seen)) > 3
    fresh = world.fresh()
    assert_same(strata_of(world.calibration), strata_of(fresh))
    assert_same(strata_of(world.calibration, OTHER), strata_of(fresh, OTHER))


def test_a_filter_that_is_far_behind_starts_over(catalog, monkeypatch):
    monkeypatch.setattr("attribution.calibration.nulls._CHANGES_KEPT", 30)
    world = World(catalog, SmallSpace(), "harmonic-mean-p")
    world.change(add=range(100))
    strata_of(world.calibration, OTHER)
    world.change(add=range(100, 125))
    world.change(add=range(125, 150))
    assert_same(strata_of(world.calibration, OTHER), strata_of(world.fresh(), OTHER))


def test_a_filter_asked_for_again_is_not_made_anew(catalog, monkeypatch):
    world = World(catalog, SmallSpace(), "harmonic-mean-p")
    world.change(add=range(100))
    scored = ScoredBackground(background_of(world.space), Reference(world.fusion), catalog)
    nulls, made = FilteredNulls(scored, world.index), []
    monkeypatch.setattr(
        "attribution.calibration.nulls.FollowedNull",
        lambda *given: made.append(given) or FollowedNull(*given),
    )
    for number in range(100, 104):
        batch = change_batch(
            world.index.generation + 1, dimension=24, add_ids=[number],
            add_vectors=world.rows[[number]], add_collections=["other"],
        )  # fmt: skip
        world.index.apply(batch)
        nulls.note(batch)
        assert nulls.null(OTHER, world.index.generation).generation == world.index.generation
    assert len(made) == 1


def test_strata_are_reported_with_their_sizes(catalog):
    world = World(catalog, SmallSpace(), "max-standardised")
    report = world.calibration.report()
    sizes = {stratum.name: len(stratum.statistics) for stratum in report.strata}
    assert sizes == SIZES
    assert report.generation == 0
    assert report.state.state == "fresh"
    without = Calibration(world.index, world.fusion, None, catalog).report()
    assert (without.generation, without.strata, without.state.state) == (None, (), "missing")

"""A null that was kept is gone on from, exactly; and never one that is another's, or damaged."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from attribution.calibration import Calibration, kept
from attribution.calibration.kept import null_owner
from attribution.catalog import Catalog, CatalogBusy
from attribution.index import (
    EmbeddedIndex,
    Follower,
    Owner,
    SnapshotAbsent,
    SnapshotRefused,
    holds_removed,
    load_companion,
    load_snapshot,
    save_snapshot,
)
from attribution.retrieval.fusion import Fusion
from models.background import Background
from tests.support.spaces import SmallSpace, rows_of

IMAGES = 120


class World:
    """A catalog with its index and null, whose folder of snapshots is opened again and again."""

    def __init__(self, catalog, new_source, folder):
        self.space = SmallSpace(views=2)
        self.catalog, self.new_source, self.folder = catalog, new_source, folder
        self.owner = Owner("small", self.space.dimension, self.space.parts, catalog.epoch)
        self.background = Background(
            "small",
            self.space.query_rows(5, IMAGES),
            np.random.default_rng(1).integers(0, 256, (IMAGES, 16, 16)).astype(np.uint8),
        )

    def add(self, numbers):
        rows = rows_of(1000 + numbers[0], len(numbers), self.space.parts)
        sources = [self.new_source(n, row) for n, row in zip(numbers, rows, strict=True)]
        added = self.catalog.add("small", sources)
        return [item.source.source_id for item in added.items]

    def opened(self, *, resume=True):
        """Index and calibration, as a start opens them."""
        companion = None
        if resume:
            companion = load_companion(self.folder, self.owner, null_owner(self.background))
            index = load_snapshot(self.folder, self.owner)
        else:
            index = EmbeddedIndex(
                self.space.parts, self.space.dimension, "small", self.catalog.epoch
            )
        Follower(self.catalog, index, "small").catch_up()
        fusion = Fusion(self.space.parts, self.space.reference, self.space.views)
        calibration = Calibration(index, fusion, self.background, self.catalog)
        calibration.resume(companion)
        return index, calibration

    def save(self):
        index, calibration = self.opened(resume=False)
        calibration.build()
        save_snapshot(index, self.folder, calibration.kept())
        return calibration


@pytest.fixture(scope="module")
def filled(new_source, tmp_path_factory):
    """The data folder of 180 sources, closed and only read, and their ids."""
    folder = tmp_path_factory.mktemp("filled")
    with Catalog.open(folder) as catalog:
        return folder, World(catalog, new_source, folder / "index").add(range(180))


@pytest.fixture
def catalog(filled, tmp_path):
    shutil.copytree(filled[0], tmp_path / "data", copy_function=shutil.copy)
    with Catalog.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def world(catalog, filled, new_source, tmp_path):
    made = World(catalog, new_source, tmp_path / "index")
    made.ids = list(filled[1])
    return made


@pytest.fixture
def scored(monkeypatch):
    """How many images have been scored against the index, call by call."""
    asked = []

    def counting(index, queries, *rest, **options):
        asked.append(len(queries))
        return retrieve(index, queries, *rest, **options)

    from attribution.calibration.neighbours import retrieve  # noqa: PLC0415

    monkeypatch.setattr("attribution.calibration.neighbours.retrieve", counting)
    return asked


def statistics(calibration):
    [photos] = calibration.current().null.strata
    return photos.statistics


def test_a_start_goes_on_from_the_null_that_was_kept_without_scoring_anything(
    world, scored, monkeypatch
):
    saved = world.save()
    scored.clear()
    _, calibration = world.opened()
    assert scored == []
    assert calibration.state().state == "fresh"
    assert np.array_equal(statistics(calibration), statistics(saved))
    monkeypatch.setattr("attribution.calibration.calibration._BUILT_SOON", 179)
    assert saved.worth_keeping
    assert not calibration.worth_keeping, "it is kept already"
    calibration.ensure()
    assert scored == []


def test_a_start_looks_for_the_copies_that_could_not_be_looked_for(world, monkeypatch):
    asked, by_vector_ids = [], Catalog.by_vector_ids

    def busy(*_):
        raise CatalogBusy

    def counting(self, vector_ids):
        asked.append(list(vector_ids))
        return by_vector_ids(self, vector_ids)

    monkeypatch.setattr(Catalog, "by_vector_ids", busy)
    calibration = world.save()
    monkeypatch.setattr(Catalog, "by_vector_ids", counting)
    world.opened()
    best = calibration.kept().arrays["ids"][:, 0]
    assert asked == [np.unique(best).tolist()]


def test_what_has_changed_since_is_followed_as_if_it_had_been_built_anew(world, scored):
    world.save()
    world.catalog.delete(source_ids=world.ids[:2])
    again = world.add(range(200, 230))
    world.catalog.delete(source_ids=again[:3])
    scored.clear()
    index, calibration = world.opened()
    assert 0 < sum(scored) < IMAGES, "only images that had one of the two among their best"
    assert calibration.current().null.generation == index.generation == world.catalog.generation()
    _, fresh = world.opened(resume=False)
    fresh.build()
    assert np.array_equal(statistics(calibration), statistics(fresh))
    for name, array in fresh.kept().arrays.items():
        np.testing.assert_array_equal(calibration.kept().arrays[name], array, err_msg=name)


def test_and_followed_further_by_the_changes_to_come(world):
    world.save()
    index, calibration = world.opened()
    follower = Follower(world.catalog, index, "small")
    follower.on_change(calibration.apply)
    world.add(range(300, 320))
    world.catalog.delete(source_ids=world.ids[10:15])
    follower.catch_up()
    _, fresh = world.opened(resume=False)
    fresh.build()
    assert np.array_equal(statistics(calibration), statistics(fresh))


def test_after_too_many_changes_it_is_built_anew(world, monkeypatch):
    world.save()
    world.add(range(400, 470))
    monkeypatch.setattr(kept, "_FEWEST", 10)
    _, calibration = world.opened()
    assert calibration.state().state == "building"
    calibration.ensure()
    assert calibration.state().state == "fresh"


@pytest.mark.parametrize("what", ["rows", "thumbnails"])
def test_the_null_of_another_background_is_as_good_as_none(world, what):
    world.save()
    pictures = getattr(world.background, what).copy()
    pictures[0] = pictures[1]
    world.background = replace(world.background, **{what: pictures})
    with pytest.raises(SnapshotRefused, match="another background or rule"):
        world.opened()


def test_so_is_that_of_another_rule_encoder_or_history(world, monkeypatch):
    world.save()
    for changed in ({"model_id": "other"}, {"epoch": "restored"}):
        with pytest.raises(SnapshotRefused, match=next(iter(changed))):
            load_companion(
                world.folder, replace(world.owner, **changed), null_owner(world.background)
            )
    monkeypatch.setattr("attribution.calibration.kept.DEPTH", 32)
    with pytest.raises(SnapshotRefused, match="rule"):
        world.opened()


def test_a_snapshot_without_a_null_has_none(world):
    index, _ = world.opened(resume=False)
    save_snapshot(index, world.folder)
    with pytest.raises(SnapshotAbsent):
        world.opened()


def test_any_damage_to_it_is_found_before_it_is_read_and_spares_the_index(world):
    world.save()
    files = sorted(world.folder.glob("*/beside-*"))
    assert len(files) == 10
    for path in files:
        whole = path.read_bytes()
        for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
            path.write_bytes(damaged)
            with pytest.raises(SnapshotRefused, match=path.name):
                world.opened()
            assert load_snapshot(world.folder, world.owner).generation == 180
        path.write_bytes(whole)
    world.opened()


def test_nothing_in_it_is_of_a_source_that_was_removed_before(world):
    world.save()
    index, calibration = world.opened()
    follower = Follower(world.catalog, index, "small")
    follower.on_change(calibration.apply)
    best = calibration.kept().arrays["ids"][:, 0]
    gone = int(best[0])
    record = world.catalog.by_vector_ids([gone])[gone]
    world.catalog.delete(source_ids=[record.source_id])
    lagging = calibration.kept()
    follower.catch_up()
    index.compact()
    assert not (calibration.kept().arrays["ids"] == gone).any()
    save_snapshot(index, world.folder, lagging)
    assert holds_removed(world.folder, index.generation), "the null has it among its best still"
    save_snapshot(index, world.folder, calibration.kept())
    assert not holds_removed(world.folder, index.generation)


def test_while_the_first_null_is_made_a_query_is_not_kept_waiting(world, monkeypatch):
    _, calibration = world.opened(resume=False)
    monkeypatch.setattr("attribution.calibration.calibration._PATIENCE", 600.0)
    monkeypatch.setattr("attribution.calibration.calibration._BUILT_SOON", 179)
    assert calibration.current().state.state == "building"  # else this takes ten minutes

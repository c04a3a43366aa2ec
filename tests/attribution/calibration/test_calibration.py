"""The null follows the catalog exactly, filters see only their own, and its state is said."""

import io

import numpy as np
import pytest
from PIL import Image

from attribution.calibration import Calibration
from attribution.calibration.neighbours import BackgroundNeighbours
from attribution.calibration.picture_copies import CopyTest, thumbnails_of
from attribution.index import EmbeddedIndex, Follower
from attribution.retrieval.fusion import Fusion
from models.background import Background, thumbnail
from tests.support.changes import change_batch
from tests.support.spaces import SmallSpace, rows_of
from tests.support.statistics import slow_joined, slow_reference


@pytest.fixture
def background(small_space):
    return Background(
        small_space.model_id,
        small_space.query_rows(5, 120),
        np.random.default_rng(1).integers(0, 256, (120, 16, 16)).astype(np.uint8),
    )


@pytest.fixture
def opened(catalog, small_space, background):
    index = EmbeddedIndex(small_space.parts, small_space.dimension, "small", catalog.epoch)
    calibration = Calibration(index, fusion_of(small_space), background, catalog)
    follower = Follower(catalog, index, "small")
    follower.on_change(calibration.apply)
    return index, calibration, follower


def fusion_of(space):
    return Fusion(space.parts, space.reference, space.views)


def add(catalog, new_source, space, numbers, collection="default"):
    rows = rows_of(1000 + numbers[0], len(numbers), space.parts)
    return catalog.add(
        "small",
        [new_source(n, row, collection) for n, row in zip(numbers, rows, strict=True)],
    )


def slow_parts(space, rows, others):
    """`(n, parts, m)`: cosines by mean and deviation of those with the reference, best view."""
    found = []
    for part in space.parts:
        views = []
        for view in np.split(rows, rows.shape[1] // space.dimension, axis=1):
            own = view[:, part.columns]
            known = own @ space.reference[:, part.columns].T
            raw = own @ others[:, part.columns].T - known.mean(axis=1)[:, None]
            views.append(raw / known.std(axis=1, ddof=1)[:, None])
        found.append(np.max(views, axis=0))
    return np.stack(found, axis=1)


def slow_null(index, space):
    """The statistic in words, from all rows."""
    held, rows = index.contents().vectors, space.query_rows(5, 120)
    among = slow_parts(space, space.reference, space.reference)
    tails = [slow_reference(among[:, place]) for place in range(len(space.parts))]
    scores, outside = slow_parts(space, rows, held), slow_parts(space, rows, space.reference)
    best = []
    for own, reference in zip(scores, outside, strict=True):
        ranked = own[:, np.argsort(-own.max(axis=0))[:100]].T
        best.append(slow_joined(ranked, range(len(ranked)), reference, tails, ranks=1)[0])
    return np.sort(best)


def statistics(calibration, collections=None):
    [photos] = calibration.current(collections).null.strata
    return photos.statistics


@pytest.mark.parametrize(
    "small_space", [SmallSpace(), SmallSpace(views=2)], ids=["one view", "two views"]
)
def test_the_null_after_many_changes_equals_a_fresh_one(
    catalog, opened, new_source, small_space, background
):
    index, calibration, follower = opened
    calibration.build()
    kept = []
    for step in range(6):
        added = add(catalog, new_source, small_space, range(100 * step, 100 * step + 40))
        kept += [item.source.source_id for item in added.items]
        follower.catch_up()
        catalog.delete(source_ids=kept[:: step + 2])
        kept = [each for place, each in enumerate(kept) if place % (step + 2)]
        follower.catch_up()
    fresh = Calibration(index, fusion_of(small_space), background, catalog)
    fresh.build()
    assert np.array_equal(statistics(calibration), statistics(fresh))
    assert calibration.state().state == "fresh"
    assert np.allclose(statistics(calibration), slow_null(index, small_space), atol=1e-3)


def test_an_id_added_again_is_not_counted_twice(small_space):
    rows = rows_of(3, 5, small_space.parts)
    index = EmbeddedIndex(small_space.parts, small_space.dimension, "small", "epoch")
    fusion = Fusion(small_space.parts, small_space.reference)
    asked = fusion.prepare(rows_of(5, 20, small_space.parts))
    neighbours = BackgroundNeighbours(index, lambda: asked)
    for generation in (1, 2):
        batch = change_batch(
            generation,
            dimension=24,
            add_ids=np.arange(1, 6),
            add_vectors=rows,
            add_collections=["default"] * 5,
        )
        index.apply(batch)
        neighbours.apply(batch)
    for ids in neighbours.hits.ids:
        real = ids[ids >= 0]
        assert len(set(real.tolist())) == len(real) == 5


def test_changes_during_the_build_are_not_lost(
    catalog, opened, new_source, small_space, background
):
    index, calibration, follower = opened
    add(catalog, new_source, small_space, range(30))
    follower.catch_up()
    assert calibration.state().state == "building"
    calibration.build()
    fresh = Calibration(
        index, Fusion(small_space.parts, small_space.reference), background, catalog
    )
    fresh.build()
    assert np.array_equal(statistics(calibration), statistics(fresh))


def test_under_a_filter_only_that_collection_counts(
    catalog, opened, new_source, small_space, background
):
    _, calibration, follower = opened
    calibration.build()
    add(catalog, new_source, small_space, range(30), "other")
    follower.catch_up()
    alone = statistics(calibration, frozenset({"other"}))
    add(catalog, new_source, small_space, range(500, 560), "default")
    follower.catch_up()
    assert np.array_equal(statistics(calibration, frozenset({"other"})), alone)
    assert not np.allclose(statistics(calibration), alone, atol=1e-3)


def test_a_background_image_that_is_a_copy_of_a_source_is_dropped(
    catalog, small_space, new_source, background
):
    source = new_source(1, background.rows[7])
    with Image.open(io.BytesIO(source.preview)) as preview:
        copy = thumbnail(preview)
    thumbnails = background.thumbnails.copy()
    thumbnails[7] = copy
    index = EmbeddedIndex(small_space.parts, small_space.dimension, "small", catalog.epoch)
    fusion = Fusion(small_space.parts, small_space.reference)
    catalog.add("small", [source])
    Follower(catalog, index, "small").catch_up()
    sizes = []
    for pictures in (background.thumbnails, thumbnails):
        calibration = Calibration(
            index, fusion, Background("small", background.rows, pictures), catalog
        )
        calibration.build()
        sizes.append(len(statistics(calibration)))
    assert sizes == [120, 119]


def test_all_that_a_background_matches_is_looked_up_at_once(catalog, new_source):
    catalog.add("small", [new_source(number, rows_of(number, 1)[0]) for number in range(4)])
    asked = []

    def of_sources(vector_ids):
        asked.append(vector_ids)
        return thumbnails_of(catalog)(vector_ids)

    pictures = thumbnails_of(catalog)([1, 3])
    test = CopyTest(np.stack([pictures[1], pictures[3], pictures[1]]), of_sources)
    assert test(np.array([1, 4, 1])).tolist() == [True, False, True]
    assert test(np.array([1, 3, 99])).tolist() == [True, True, False]
    assert test(np.array([1, 3, -1])).tolist() == [True, True, False]
    assert asked == [[1, 4], [3, 99], []]


def test_without_a_background_there_is_no_null(catalog, opened, small_space):
    index, _, _ = opened
    calibration = Calibration(
        index, Fusion(small_space.parts, small_space.reference), None, catalog
    )
    calibration.build()
    assert calibration.current().null is None
    assert calibration.state().state == "missing"


def test_nothing_to_standardise_by_is_missing_not_an_error(catalog, background, small_space):
    from models.parts import consecutive_parts  # noqa: PLC0415

    parts = consecutive_parts([("whole", 24)])
    index = EmbeddedIndex(parts, 24, "small", catalog.epoch)
    fusion = Fusion(parts, np.zeros((0, 24), np.float32))
    calibration = Calibration(index, fusion, background, catalog)
    calibration.build()
    assert calibration.current().null is None
    assert calibration.current(frozenset({"other"})).null is None
    assert calibration.current(frozenset({"other"})).state.state == "missing"
    assert calibration.state().state == "missing"


def test_a_null_that_trails_the_index_is_not_used(
    catalog, opened, new_source, small_space, monkeypatch
):
    index, calibration, _ = opened
    calibration.build()
    assert calibration.current().null is not None
    monkeypatch.setattr("attribution.calibration.calibration._PATIENCE", 0.05)
    add(catalog, new_source, small_space, range(5))
    Follower(catalog, index, "small").catch_up()  # one that calibration does not listen to
    assert calibration.current().null is None
    assert calibration.current().state.state == "building"
    calibration.build()
    assert calibration.current().state.state == "fresh"


def test_a_failure_while_following_is_made_good_without_another_change(
    catalog, opened, new_source, small_space, background, monkeypatch
):
    index, calibration, follower = opened
    calibration.build()
    with monkeypatch.context() as patched:
        patched.setattr(
            BackgroundNeighbours, "apply", lambda self, batch: (_ for _ in ()).throw(OSError())
        )
        add(catalog, new_source, small_space, range(30))
        follower.catch_up()
    add(catalog, new_source, small_space, range(50, 60))
    follower.catch_up()  # which is not the time to make it: queries and the index would wait
    assert calibration.wanting
    assert calibration.state().state == "building"
    calibration.ensure()
    fresh = Calibration(
        index, Fusion(small_space.parts, small_space.reference), background, catalog
    )
    fresh.build()
    assert calibration.state().state == "fresh"
    assert np.array_equal(statistics(calibration), statistics(fresh))


def test_the_null_of_a_filter_outlives_changes_elsewhere(catalog, opened, new_source, small_space):
    _, calibration, follower = opened
    catalog.put_collection("a")
    add(catalog, new_source, small_space, list(range(20)), "a")
    follower.catch_up()
    only_a = frozenset({"a"})
    first = calibration.current(only_a).null
    add(catalog, new_source, small_space, list(range(20, 40)))
    follower.catch_up()
    assert calibration.current(only_a).null is first
    added = add(catalog, new_source, small_space, [40], "a")
    follower.catch_up()
    after_addition = calibration.current(only_a).null
    assert after_addition is not first
    catalog.delete(source_ids=[added.items[0].source.source_id])
    follower.catch_up()
    after_deletion = calibration.current(only_a).null
    assert after_deletion is not after_addition
    for ours, theirs in zip(after_deletion.strata, first.strata, strict=True):
        np.testing.assert_array_equal(ours.statistics, theirs.statistics)

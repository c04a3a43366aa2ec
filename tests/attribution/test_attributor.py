"""Answers: the true source first, an honest no, nothing that is gone, shares that add up."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from attribution.answer import PromisedRecall
from attribution.attributor import MOST_COPIES, Attributor, Terms
from attribution.calibration import AlphaTooSmall, Calibration
from attribution.calibration.shares.model import ShareModel
from attribution.calibration.shares.newest import NewestShares, Shares
from attribution.calibration.shares.recall import Recall, RecallTooLarge
from attribution.catalog import Catalog
from attribution.index import EmbeddedIndex, Follower
from attribution.retrieval.fusion import Fusion
from models.background import Background
from tests.support.spaces import SPACE_PARTS, SmallSpace, rows_of


def unit(rows, parts):
    rows = rows.astype(np.float32, copy=True)
    for part in parts:
        rows[:, part.columns] /= np.linalg.norm(rows[:, part.columns], axis=1, keepdims=True)
    return rows


class World:
    """Sixty sources, or others, and an attributor on them."""

    def __init__(self, catalog, space, new_source, *, background=400, rows=None):
        self.catalog, self.space = catalog, space
        self.index = EmbeddedIndex(space.parts, space.dimension, space.model_id, catalog.epoch)
        self.follower = Follower(catalog, self.index, space.model_id)
        fusion = Fusion(space.parts, space.reference, space.views)
        self.background = (
            Background(
                space.model_id,
                space.query_rows(5, background),
                np.zeros((background, 16, 16), np.uint8),
            )
            if background
            else None
        )
        self.calibration = Calibration(self.index, fusion, self.background, catalog)
        self.follower.on_change(self.calibration.apply)
        self.calibration.build()
        self.rows = rows_of(1, 60, space.parts) if rows is None else rows
        self.sources = [
            item.source
            for item in catalog.add(
                space.model_id,
                [
                    new_source(n, row, "other" if n % 2 else "default")
                    for n, row in enumerate(self.rows)
                ],
            ).items
        ]
        self.follower.catch_up()
        self.attributor = Attributor(space, catalog, self.index, self.calibration)

    def near(self, number, *, noise=0.15, seed=0):
        row = self.rows[number] + noise * rows_of(seed + 70, 1, self.space.parts)[0]
        return unit(row[None], self.space.parts)


@pytest.fixture(scope="module")
def world(tmp_path_factory, new_source):
    """One that all may ask; whoever changes it makes its own."""
    with Catalog.open(tmp_path_factory.mktemp("world") / "data") as catalog:
        catalog.put_collection("other")
        yield World(catalog, SmallSpace(), new_source)


def total(answer):
    return (
        sum(ranked.share for ranked in answer.sources)
        + answer.other_share
        + answer.unattributed_share
    )


def test_a_query_near_a_source_is_attributed_to_it(world):
    [answer] = world.attributor.attribute(world.near(7), Terms(alpha=0.05))
    assert answer.decision == "attributed"
    assert answer.sources[0].source == world.sources[7]
    assert answer.sources[0].attributed
    assert not answer.sources[-1].attributed
    assert answer.sources[0].share == max(ranked.share for ranked in answer.sources)
    assert [ranked.rank for ranked in answer.sources] == list(range(1, 11))
    assert answer.p_value == answer.sources[0].p_value <= 0.05
    assert total(answer) == pytest.approx(1)


def test_each_part_can_find_its_own_source(world):
    structure, appearance = world.space.parts
    row = np.zeros((1, 24), np.float32)
    row[:, structure.columns] = world.rows[3, structure.columns]
    row[:, appearance.columns] = world.rows[8, appearance.columns]
    [answer] = world.attributor.attribute(row, Terms(top_k=2, alpha=0.05))
    assert {ranked.source.source_id for ranked in answer.sources} == {
        world.sources[3].source_id,
        world.sources[8].source_id,
    }


def without(kind, rows):
    """The rows with nothing of one row in any part."""
    rows = rows.copy()
    for part in SPACE_PARTS:
        own = kind[0, part.columns]
        rows[:, part.columns] -= np.outer(rows[:, part.columns] @ own, own)
    return unit(rows, SPACE_PARTS)


@dataclass(frozen=True)
class Strangers(SmallSpace):
    """A space whose queries, and so whose background, have nothing of one row."""

    kind: np.ndarray = field(default_factory=lambda: rows_of(31, 1))

    def query_rows(self, seed, n):
        return without(self.kind, super().query_rows(seed, n))


def resembling(world, new_source, number, times):
    """A source held besides that resembles another one."""
    own = rows_of(880 + number, 1, world.space.parts)
    row = unit(times * world.rows[number][None] + own, world.space.parts)
    [added] = world.catalog.add(world.space.model_id, [new_source(900 + number, row[0])]).items
    world.follower.catch_up()
    return added.source


def test_what_resembles_the_source_is_not_named_beside_it(catalog, new_source):
    world = World(catalog, SmallSpace(), new_source)
    other = resembling(world, new_source, 7, times=0.8)
    asked = [world.near(7, noise=noise) for noise in (0, 0.02, 0.1)]
    for answer in world.attributor.attribute(np.concatenate(asked), Terms(alpha=0.05)):
        first, second = answer.sources[:2]
        assert (first.source, second.source) == (world.sources[7], other)
        assert first.attributed
        assert not second.attributed
    both = unit(world.rows[7:8] + world.rows[8:9], world.space.parts)
    [answer] = world.attributor.attribute(both, Terms(alpha=0.05))
    assert {ranked.source for ranked in answer.sources[:2]} == set(world.sources[7:9])
    assert all(ranked.attributed for ranked in answer.sources[:2])


def test_of_a_few_sources_that_are_all_alike_one_is_named(catalog, new_source):
    """No background image comes near any of them, so that being alike is enough to stand out."""
    kind = rows_of(31, 1)
    space = Strangers(reference=without(kind, rows_of(99, 200)), kind=kind)
    alike = unit(0.6 * kind + unit(rows_of(32, 4, space.parts), space.parts), space.parts)
    world = World(catalog, space, new_source, rows=alike)
    for number in range(4):
        [answer] = world.attributor.attribute(world.rows[number][None], Terms(alpha=0.05))
        assert [each.attributed for each in answer.sources] == [True, False, False, False]
        assert answer.sources[0].source == world.sources[number]


def test_one_picture_held_twice_is_named_twice(catalog, new_source):
    world = World(catalog, SmallSpace(), new_source)
    other = resembling(world, new_source, 7, times=1.5)
    [answer] = world.attributor.attribute(world.rows[7][None], Terms(alpha=0.05))
    assert [ranked.source for ranked in answer.sources[:2]] == [world.sources[7], other]
    assert all(ranked.attributed for ranked in answer.sources[:2])


def test_a_picture_held_many_times_is_listed_once(catalog, new_source):
    world = World(catalog, SmallSpace(), new_source)
    [before] = world.attributor.attribute(world.near(7), Terms(alpha=0.05))
    away = 0.01 * rows_of(12, 150, world.space.parts)
    copies = unit(world.rows[7] + away, world.space.parts)
    catalog.add(world.space.model_id, [new_source(500 + n, row) for n, row in enumerate(copies)])
    world.follower.catch_up()
    [answer] = world.attributor.attribute(world.near(7), Terms(alpha=0.05))
    first, *others = answer.sources
    assert world.sources[7] in first.showing
    assert len(first.copies) == MOST_COPIES
    assert [each.source for each in others] == [each.source for each in before.sources[1:]]
    assert not any(each.copies for each in others)
    # Its neighbours are those of a background image, which copies crowd out: other images, now.
    assert first.share == pytest.approx(before.sources[0].share, abs=0.03)
    assert answer.unattributed_share == pytest.approx(before.unattributed_share, abs=0.03)
    assert total(answer) == pytest.approx(1)


def test_no_source_is_believed_of_a_query_as_it_is_said(world):
    queries = np.concatenate([world.near(7, noise=0.6), world.space.query_rows(8, 1)])
    answers = {
        part: world.attributor.attribute(queries, Terms(alpha=0.05, no_source=part))
        for part in (0.05, 0.5, 0.95, None)
    }
    for row in range(2):
        found = [answers[part][row].unattributed_share for part in (0.05, 0.5, 0.95)]
        assert found == sorted(found)
        assert answers[None][row] == answers[0.5][row]
        assert answers[0.05][row].p_value == answers[0.5][row].p_value
    assert answers[0.05][0].calibration.id != answers[0.5][0].calibration.id
    with pytest.raises(ValueError, match="no_source"):
        world.attributor.attribute(queries, Terms(no_source=1.0))


@pytest.mark.parametrize("view", [0, 1])
def test_any_view_of_a_query_can_find_its_source(catalog, new_source, view):
    space = SmallSpace(views=2)
    world = World(catalog, space, new_source)
    views = [rows_of(4321, 1, space.parts), rows_of(4322, 1, space.parts)]
    views[view] = world.near(7)
    [answer] = world.attributor.attribute(np.concatenate(views, axis=1), Terms(alpha=0.05))
    assert answer.decision == "attributed"
    assert answer.sources[0].source == world.sources[7]


def test_a_row_of_another_width_is_refused(world):
    with pytest.raises(ValueError, match=r"must be \(n, 24\).*domain 'query'"):
        world.attributor.attribute(SmallSpace(views=2).query_rows(1, 1))


@pytest.mark.parametrize("views", [1, 2])
def test_unrelated_queries_are_refused_at_about_the_stated_rate(catalog, new_source, views):
    world = World(catalog, SmallSpace(views=views), new_source)
    queries = world.space.query_rows(1234, 600)
    answers = world.attributor.attribute(queries, Terms(alpha=0.1))
    rate = np.mean([answer.decision == "attributed" for answer in answers])
    assert abs(rate - 0.1) < 0.04
    assert all(answer.sources for answer in answers)
    refused = [answer for answer in answers if answer.decision == "no_source_found"]
    assert not any(ranked.attributed for answer in refused for ranked in answer.sources)


def test_a_batch_gives_the_answers_of_single_queries(world):
    queries = np.concatenate([world.near(n) for n in range(20)])
    batch = world.attributor.attribute(queries)
    for row, answer in enumerate(batch):
        [alone] = world.attributor.attribute(queries[row : row + 1])
        assert [r.source.source_id for r in alone.sources] == [
            r.source.source_id for r in answer.sources
        ]
        assert np.allclose(
            [r.score for r in alone.sources], [r.score for r in answer.sources], atol=1e-4
        )


def test_a_source_the_catalog_has_deleted_is_gone_before_the_index_knows(
    catalog, small_space, new_source
):
    world = World(catalog, small_space, new_source)
    catalog.delete(source_ids=[world.sources[7].source_id])
    [answer] = world.attributor.attribute(world.near(7))
    assert world.sources[7].source_id not in {r.source.source_id for r in answer.sources}
    assert len(answer.sources) == 10
    assert answer.decision == "no_source_found"
    assert total(answer) == pytest.approx(1)


def test_a_filter_searches_and_credits_that_collection_only(world):
    [answer] = world.attributor.attribute(
        world.near(8), Terms(collections=frozenset({"other"}), top_k=50, alpha=0.05)
    )
    assert {ranked.source.collection for ranked in answer.sources} == {"other"}
    assert len(answer.sources) == 30
    assert answer.decision == "no_source_found"
    assert answer.other_share == pytest.approx(0)


def test_a_small_top_k_puts_the_rest_into_other_share(world):
    [few] = world.attributor.attribute(world.near(7), Terms(top_k=1))
    [many] = world.attributor.attribute(world.near(7), Terms(top_k=40))
    assert few.other_share > many.other_share
    assert total(few) == pytest.approx(1)
    assert few.sources[0].share == pytest.approx(many.sources[0].share)


def test_without_background_there_are_ranks_but_no_decision(catalog, small_space, new_source):
    world = World(catalog, small_space, new_source, background=0)
    [answer] = world.attributor.attribute(world.near(7))
    assert answer.decision is None
    assert answer.p_value is None
    assert answer.calibration.state == "missing"
    assert answer.sources[0].source == world.sources[7]
    assert not answer.sources[0].attributed
    assert total(answer) == pytest.approx(1)


def test_an_empty_gallery_answers_no_source_found(catalog, small_space, new_source):
    world = World(catalog, small_space, new_source)
    catalog.delete(source_ids=[source.source_id for source in world.sources])
    world.follower.catch_up()
    [answer] = world.attributor.attribute(world.near(7))
    assert answer.sources == ()
    assert answer.decision == "no_source_found"
    assert answer.p_value == 1.0
    assert answer.unattributed_share == 1.0


def test_a_list_by_recall_is_as_long_as_it_must_be_instead_of_as_long_as_asked(world):
    recall = Recall({80: 0.0, 90: 0.9}, "sixty drawings")
    shares = NewestShares(world.catalog, "of nobody", Shares(ShareModel(), recall=recall))
    attributor = Attributor(world.space, world.catalog, world.index, world.calibration, shares)
    queries = np.concatenate([world.near(7), world.space.query_rows(8, 1)])
    whole = attributor.attribute(queries, Terms(top_k=100))
    short = attributor.attribute(queries, Terms(top_k=3, recall=0.8))
    long = attributor.attribute(queries, Terms(top_k=3, recall=0.85))
    assert [len(answer.sources) for answer in short] == [1, 1]
    assert len(long[0].sources) < len(long[1].sources) < 60  # one of them stands out
    for every, answer in zip(whole, long, strict=True):
        assert answer.recall == PromisedRecall(0.85, "sixty drawings")
        assert answer.sources == every.sources[: len(answer.sources)]
        before = sum(ranked.share for ranked in answer.sources[:-1])
        assert before <= 0.9 * (1 - answer.unattributed_share)
        after = before + answer.sources[-1].share
        assert after > 0.9 * (1 - answer.unattributed_share)
        assert total(answer) == pytest.approx(1)
        assert answer.decision == every.decision
    with pytest.raises(RecallTooLarge, match=r"at most 0\.9"):
        attributor.attribute(queries, Terms(recall=0.95))


def test_likeness_to_the_background_is_of_the_query_alone(world):
    strange = unit(
        world.space.reference.mean(axis=0, keepdims=True), SPACE_PARTS
    )  # like everything
    queries = np.concatenate([world.near(7), world.space.query_rows(8, 20), strange])
    answers = world.attributor.attribute(queries, Terms(alpha=0.05))
    alone = [
        world.attributor.attribute(row[None], Terms(alpha=0.05))[0].likeness for row in queries
    ]
    assert [answer.likeness for answer in answers] == pytest.approx(alone)
    assert sum(answer.unlike_background for answer in answers[:-1]) <= 2
    assert answers[-1].unlike_background
    assert answers[-1].likeness == 1 / 401


@pytest.mark.parametrize(
    "options",
    [{"top_k": 0}, {"top_k": 101}, {"alpha": 0}, {"alpha": 1}, {"recall": 0.4}, {"recall": 1}],
)
def test_numbers_out_of_range_are_refused(world, options):
    with pytest.raises(ValueError, match=r"top_k|alpha|recall"):
        world.attributor.attribute(world.near(1), Terms(**options))


def test_an_alpha_the_background_cannot_bear_is_refused(world):
    with pytest.raises(AlphaTooSmall, match="extend the background"):
        world.attributor.attribute(world.near(1), Terms(alpha=0.0001))


def test_looks_in_four_ways_need_a_background_four_times_as_large(world):
    smallest = world.attributor.attribute(world.near(1))[0].p_value  # nothing is more like it
    assert world.attributor.attribute(world.near(1), Terms(alpha=2 * smallest))
    with pytest.raises(AlphaTooSmall, match=f"{4 * smallest:.2g}, the smallest"):
        world.attributor.attribute(world.near(1), Terms(alpha=2 * smallest, any_way_up=True))


@pytest.mark.parametrize("times", [1, 3])
def test_a_picture_of_the_background_has_the_statistic_that_the_null_knows_of_it(
    catalog, small_space, new_source, times
):
    catalog.put_collection("other")
    held = np.repeat(rows_of(1, 150, SPACE_PARTS), times, axis=0)
    held += 0.002 * rows_of(2, len(held), SPACE_PARTS)
    world = World(catalog, small_space, new_source, background=150, rows=unit(held, SPACE_PARTS))
    rows = world.background.rows
    ranking = world.attributor.rank(rows)
    assert (ranking.hits.ids >= 0).all()  # a hundred pictures, of each the best
    [stratum] = ranking.calibrated.null.strata
    assert np.sort(ranking.statistics[:, 0]) == pytest.approx(stratum.statistics, abs=1e-5)

"""Several looks at one query: the best answer, each within its part of alpha; none at a blank."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attribution.looks import WHOLE, Described, Way, answer_of, best_of, borne_out, looks_at_picture
from models.images.notes import TURNS
from tests.support.answers import attribution
from tests.support.pictures import picture

FRAMED = (Way(WHOLE, framed=True), Way(1 - WHOLE))


def look(p_value, score, alpha=0.01):
    found = attribution()
    sources = tuple(
        replace(
            each, p_value=None if p_value is None else p_value * each.rank, score=score / each.rank
        )
        for each in found.sources
    )
    return replace(found, p_value=p_value, alpha=alpha, sources=sources)


@pytest.mark.parametrize(
    ("whole", "inside", "score", "p_value", "decision", "attributed"),
    [
        ((0.3, 1.0), (0.002, 6.0), 6.0, 0.0025, "attributed", [True, True]),
        ((0.0018, 6.0), (0.3, 9.0), 6.0, 0.009, "attributed", [True, False]),
        ((0.0018, 6.0), (0.007, 5.0), 5.0, 0.00875, "attributed", [True, False]),
        ((0.003, 6.0), (0.009, 5.0), 5.0, 0.01125, "no_source_found", [False, False]),
        ((0.001, 7.0), (0.004, 6.0), 7.0, 0.005, "attributed", [True, True]),
        ((0.001, 6.0), (0.004, 7.0), 7.0, 0.005, "attributed", [True, True]),
        ((0.3, 1.0), (0.9, 2.0), 2.0, 1.0, "no_source_found", [False, False]),
        ((None, 1.0), (None, 2.0), 2.0, None, None, [False, False]),
    ],
)
def test_each_look_spends_its_part_of_alpha(whole, inside, score, p_value, decision, attributed):
    answer = best_of((look(*whole), look(*inside)), FRAMED)

    assert (answer.sources[0].score, answer.decision) == (score, decision)
    assert answer.p_value == (None if p_value is None else pytest.approx(p_value))
    assert answer.sources[0].p_value == answer.p_value
    assert [each.attributed for each in answer.sources] == attributed


@pytest.mark.parametrize(
    ("alpha", "finest", "weights"),
    [
        (0.01, 0.0017, [0.2, 0.8]),
        (0.01, 0.0021, [0, 1]),
        (0.01, 0.0099, [0, 1]),
        (0.01, 0.02, [0, 1]),
        (0.01, None, [0.2, 0.8]),
        (0.1, 0.0099, [0.2, 0.8]),
    ],
)
def test_a_look_that_the_background_cannot_bear_out_leaves_its_part_to_the_others(
    alpha, finest, weights
):
    assert [way.weight for way in borne_out(FRAMED, alpha, finest)] == pytest.approx(weights)
    whole, inside = (
        replace(look(p_value, 6.0, alpha), finest=finest) for p_value in (alpha, 0.9 * alpha)
    )
    answer = best_of((whole, inside), FRAMED)
    assert answer.p_value == pytest.approx(0.9 * alpha / weights[1])
    assert (answer.decision == "attributed") == (weights[1] == 1)
    turned = (Way(WHOLE, framed=True), *(Way((1 - WHOLE) / 4, turn) for turn in TURNS))
    assert [way.weight for way in borne_out(turned, 0.01, 0.0021)] == pytest.approx(
        [0, *[0.25] * 4]
    )
    assert borne_out(turned[1:], 0.01, 0.0021) == turned[1:]


def test_both_looks_at_a_query_without_source_keep_the_promise():
    """However they depend on each other: alike, opposed, or not at all."""
    drawn, others = np.random.default_rng(0).uniform(size=(2, 20_000))
    for inside in (drawn, 1 - drawn, others):
        smallest = np.minimum(drawn / 0.2, inside / 0.8)
        found = [
            best_of((look(one, 1.0), look(two, 1.0)), FRAMED).p_value
            for one, two in zip(drawn[:50], inside[:50], strict=True)
        ]
        assert found == pytest.approx(np.minimum(1, smallest[:50]))
        assert (smallest <= 0.1).mean() < 0.1 + 3 * (0.09 / len(drawn)) ** 0.5


def test_an_answer_without_sources_is_an_answer():
    empty = replace(look(1.0, 1.0), sources=(), p_value=1.0)

    assert best_of((empty, empty), FRAMED).decision == "no_source_found"


@pytest.mark.parametrize("p_value", [0.001, 1.0, None])
def test_without_content_no_source_is_claimed_and_the_list_stays(p_value):
    found = look(p_value, 6.0, alpha=0.99)
    answer = answer_of(Described((), content=False), [found])

    assert answer.decision == (None if p_value is None else "no_source_found")
    assert answer.reason == "no-content"
    assert [each.source for each in answer.sources] == [each.source for each in found.sources]
    assert {each.attributed for each in answer.sources} == {False}
    total = sum(each.share for each in answer.sources) + answer.other_share
    assert (total, answer.unattributed_share) == (0, 1)


def test_what_is_blank_is_looked_at_once_and_what_is_not_counts():
    blank, drawn = looks_at_picture(Image.new("RGB", (40, 60))), looks_at_picture(picture(1))

    assert (len(blank.pictures), blank.content, drawn.content) == (1, False, True)


def test_a_picture_that_may_lie_is_looked_at_in_four_ways_and_its_frame_in_one():
    upright = picture(1, (60, 40))
    looks = looks_at_picture(upright.rotate(90, expand=True), any_way_up=True)
    assert [way.turned for way in looks.ways] == [0, 90, 180, 270]
    assert looks.pictures[1] == upright  # it is turned by a quarter to the left, Pillow's way

    page = Image.new("RGB", (300, 300))
    page.paste(picture(1, (200, 180)), (50, 60))
    framed = looks_at_picture(page, any_way_up=True)
    assert framed.pictures[0] == page
    assert [way.turned for way in framed.ways] == [0, *TURNS]
    assert framed.ways[0].weight == WHOLE
    for each in (looks, framed):
        assert sum(way.weight for way in each.ways) == pytest.approx(1)
        assert len(each.pictures) == len(each.ways)


def test_the_best_way_up_is_said_and_pays_for_all_four():
    answers = [look(0.4, 1.0), look(0.001, 3.0), look(0.2, 2.0), look(0.9, 1.0)]
    found = best_of(answers, tuple(Way(0.25, turn) for turn in TURNS))
    assert (found.turned, found.p_value, found.decision) == (90, 0.004, "attributed")


def test_where_nothing_is_held_that_is_the_reason():
    empty = replace(look(1.0, 1.0), sources=())

    assert answer_of(Described((), content=False), [empty]).reason == "nothing-held"

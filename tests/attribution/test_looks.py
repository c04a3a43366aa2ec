"""Two looks at one query: the better answer, at twice the p-value; none at a blank one."""

from dataclasses import replace

import pytest
from PIL import Image

from attribution.looks import Described, answer_of, better_of, looks_at_picture
from tests.support.answers import attribution
from tests.support.pictures import picture


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
    ("first", "second", "score", "p_value", "decision", "attributed"),
    [
        ((0.3, 1.0), (0.002, 6.0), 6.0, 0.004, "attributed", [True, True]),
        ((0.004, 6.0), (0.3, 9.0), 6.0, 0.008, "attributed", [True, False]),
        ((0.006, 6.0), (0.008, 5.0), 6.0, 0.012, "no_source_found", [False, False]),
        ((0.002, 5.0), (0.002, 6.0), 6.0, 0.004, "attributed", [True, True]),
        ((0.8, 1.0), (0.9, 2.0), 1.0, 1.0, "no_source_found", [False, False]),
        ((None, 1.0), (None, 2.0), 2.0, None, None, [False, False]),
    ],
)
def test_the_better_look_counts_for_two(first, second, score, p_value, decision, attributed):
    answer = better_of(look(*first), look(*second))

    assert (answer.sources[0].score, answer.decision) == (score, decision)
    assert answer.p_value == (None if p_value is None else pytest.approx(p_value))
    assert answer.sources[0].p_value == answer.p_value
    assert [each.attributed for each in answer.sources] == attributed


def test_an_answer_without_sources_is_an_answer():
    empty = replace(look(1.0, 1.0), sources=(), p_value=1.0)

    assert better_of(empty, empty).decision == "no_source_found"


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


def test_where_nothing_is_held_that_is_the_reason():
    empty = replace(look(1.0, 1.0), sources=())

    assert answer_of(Described((), content=False), [empty]).reason == "nothing-held"

import random

import numpy as np
import pytest

from attribution.synthesis.context.bank import ContextBank, Drawn, EmptyBank, draw_contexts
from attribution.synthesis.context.captioner import Context, Described
from attribution.synthesis.context.prompts import prompt

CLASSES = ("kite", "owl", "wren")
BANK = ContextBank(
    tuple(
        Described(f"few/{name}/{shot}.jpg", name, Context(f"{name} ground {shot}", f"pose {shot}"))
        for name in CLASSES
        for shot in range(4)
    ),
    listed=(Context("beach", "lying"), Context("forest", "standing")),
)


def test_background_and_pose_stay_together_and_say_where_they_are_from():
    by_image = {row.image: row for row in BANK.described}
    for drawn in draw_contexts(BANK, "owl", 200):
        row = by_image[drawn.image]
        assert (drawn.context, drawn.class_name) == (row.context, row.class_name)


def test_every_picture_of_the_whole_set_is_equally_likely():
    drawn = [each.image for each in draw_contexts(BANK, "owl", 6000)]
    counts = np.array([drawn.count(row.image) for row in BANK.described])
    expected = 6000 / len(counts)
    # Chi-squared with 11 degrees of freedom stays below 31.3 with 99.9 % probability.
    assert ((counts - expected) ** 2 / expected).sum() < 31.3


def test_classes_have_draws_of_their_own_that_do_not_change_when_others_join():
    owl = draw_contexts(BANK, "owl", 30)
    assert owl == draw_contexts(BANK, "owl", 30)
    assert owl != draw_contexts(BANK, "kite", 30)
    assert owl != draw_contexts(BANK, "owl", 30, seed=1)
    assert owl[:10] == draw_contexts(BANK, "owl", 10)


def test_same_draws_are_those_of_the_authors_program():
    random.seed(42)  # as theirs does before each class
    places = [random.randint(0, len(BANK.described) - 1) for _ in range(50)]
    for name in CLASSES:
        drawn = draw_contexts(BANK, name, 50, seed=42, same_draws=True)
        assert [each.image for each in drawn] == [BANK.described[place].image for place in places]


def test_controls_draw_from_where_they_say():
    own = draw_contexts(BANK, "wren", 40, source="same-class")
    assert {each.image for each in own} == {f"few/wren/{shot}.jpg" for shot in range(4)}
    listed = draw_contexts(BANK, "wren", 40, source="list")
    assert set(listed) == {Drawn(context) for context in BANK.listed}
    assert draw_contexts(BANK, "wren", 3, source="none") == [Drawn(None)] * 3


def test_nothing_to_draw_from_is_said():
    with pytest.raises(EmptyBank, match="a list of contexts"):
        draw_contexts(ContextBank(BANK.described), "owl", 1, source="list")
    with pytest.raises(EmptyBank, match="described pictures of eagle"):
        draw_contexts(BANK, "eagle", 1, source="same-class")
    with pytest.raises(EmptyBank):
        ContextBank(())


def test_the_digest_changes_with_anything_that_can_be_drawn():
    others = (
        ContextBank(BANK.described[::-1], BANK.listed),
        ContextBank(BANK.described[1:], BANK.listed),
        ContextBank(BANK.described),
    )
    assert len({BANK.digest, *(other.digest for other in others)}) == 4
    assert BANK.digest == ContextBank(tuple(BANK.described), tuple(BANK.listed)).digest


def test_prompts_are_those_of_the_paper():
    context = Context("Grass, sky, hangar", "Taxiing on runway")
    assert prompt("707-320", context, descriptor="aircraft") == (
        "an aircraft photo of a 707-320 in the Grass, sky, hangar background "
        "with the Taxiing on runway pose"
    )
    assert prompt("Egyptian_Mau", None, descriptor="pet") == "a pet photo of a Egyptian_Mau"
    assert prompt("owl", None) == "a photo of a owl"

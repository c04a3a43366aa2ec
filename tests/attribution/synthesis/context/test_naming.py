import pytest

from attribution.synthesis.context.captioner import Context, Described
from attribution.synthesis.context.naming import without_classes

SET = ("american_bulldog", "Red_winged_Blackbird", "707-320", "boxer")


def cleaned(background, own="boxer", pose="standing"):
    others = [Described(f"{name}/1.jpg", name, Context("sky", "still")) for name in SET]
    rows, leakage = without_classes([Described("0.jpg", own, Context(background, pose)), *others])
    assert [row.context for row in rows[1:]] == [Context("sky", "still")] * len(SET)
    return rows[0].context, leakage


@pytest.mark.parametrize(
    ("caption", "left"),
    [
        ("A boxer, green grass", "green grass"),
        ("Two Boxers on a red rug", "Two on a red rug"),
        ("American bulldog kennel, trees", "kennel, trees"),
        ("a bulldog, another american-bulldog", "another"),
        ("red barn, winged statue", "red barn, statue"),
        ("red winged blackbird", "plain"),
        ("Boeing 707-320 hangar, 707 tails", "Boeing hangar, tails"),
        ("Kickboxers in a boxing ring", "Kickboxers in a boxing ring"),
        ("Grass, sky,hangar", "Grass, sky,hangar"),
    ],
)
def test_every_word_that_names_a_class_goes_and_no_other(caption, left):
    assert cleaned(caption)[0].background == left


@pytest.mark.parametrize(
    ("name", "caption", "left"),
    [
        ("owls", "Owl on a branch", "on a branch"),
        ("canary", "Canaries on a wire, a canary", "on a wire"),
        ("wolf", "Wolves in snow", "in snow"),
        ("knives", "a knife, table", "table"),
        ("horses", "a horse, fence", "fence"),
        ("glass", "Glasses on oak", "on oak"),
        ("albatross", "albatross colony", "colony"),
        ("kite", "Sky. Kite", "Sky"),
        ("bus", "Buses, a busy street", "a busy street"),
    ],
)
def test_a_class_is_named_in_the_singular_and_the_plural(name, caption, left):
    [row], _ = without_classes([Described("0.jpg", name, Context(caption, "still"))])
    assert row.context.background == left


def test_leakage_is_counted_by_own_and_other_classes():
    _, leakage = cleaned("a boxer beside a bulldog", pose="as boxers stand")
    assert (leakage.captions, leakage.own, leakage.others) == (10, 2, 0)
    assert leakage.words == {"boxer": 1, "bulldog": 1, "boxers": 1}
    _, other = cleaned("a bulldog")
    assert (other.own, other.others) == (0, 1)
    assert str(other) == "0 of 10 captions named their class, 1 another: bulldog"


def test_a_pose_of_nothing_else_says_so():
    context, _ = cleaned("sky", pose="the boxer")
    assert context.pose == "as it is"

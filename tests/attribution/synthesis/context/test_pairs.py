"""A subject in front of another picture: who is drawn, what is shown, and who is who."""

import pytest
import torch

from attribution.synthesis.context.independence import independence
from attribution.synthesis.context.pairs import draw_contexts_of, pair_subjects, soft_mattes

SIDE = 64


def pictures(n=6):
    """Squares of a light colour on a ground of their own, dark."""
    rng = torch.Generator().manual_seed(3)
    images = torch.rand(n, 3, 1, 1, generator=rng).mul(0.3).expand(n, 3, SIDE, SIDE).clone()
    images += 0.01 * torch.rand(n, 3, SIDE, SIDE, generator=rng)
    for row in range(n):
        images[row, :, 16:48, 12 + 2 * row : 36 + 2 * row] = 0.7 + 0.04 * row
    return images


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_context_is_never_the_subjects_own_and_else_anyones():
    subjects = torch.arange(5).repeat(2000)
    drawn = draw_contexts_of(subjects, 5, generator())
    counts = torch.bincount(5 * subjects + drawn, minlength=25).reshape(5, 5)
    assert counts.diagonal().tolist() == [0] * 5
    others = counts[~torch.eye(5, dtype=torch.bool)]
    assert others.min() > 420  # of 500 expected, four deviations of 20
    assert others.max() < 580
    with pytest.raises(ValueError, match="give two or more"):
        draw_contexts_of(torch.tensor([0]), 1, generator())


def test_the_class_of_a_context_is_independent_of_the_subjects():
    classes = torch.arange(300) % 3
    subjects = torch.arange(300)
    drawn = draw_contexts_of(subjects, 300, generator())
    found = independence(classes.tolist(), classes[drawn].tolist(), permutations=199)
    assert found.p_value > 0.01
    neighbour = classes[(subjects + 3) % 300]
    assert independence(classes.tolist(), neighbour.tolist(), permutations=199).p_value < 0.01


def test_a_composite_is_its_positive_inside_and_its_negative_outside():
    images, subjects = pictures(), torch.tensor([0, 1, 2, 2, 5])
    mattes = soft_mattes(images)
    made = pair_subjects(images, subjects, generator(), mattes=mattes)
    assert made.sources[:, 0].tolist() == subjects.tolist()
    for row, (subject, context) in enumerate(made.sources.tolist()):
        left = 12 + 2 * subject
        inside = made.images[row, :, 20:44, left + 4 : left + 20]
        assert torch.equal(inside, images[subject, :, 20:44, left + 4 : left + 20])
        outside = torch.ones(SIDE, SIDE, dtype=torch.bool)
        outside[12:52, left - 4 : left + 28] = False
        assert torch.equal(made.images[row][:, outside], images[context][:, outside])
        assert torch.equal(made.masks[row], mattes[subject])
    found = pair_subjects(images, subjects, generator())
    assert torch.equal(found.images, made.images)


def test_mattes_are_soft_at_the_border_alone():
    mattes = soft_mattes(pictures(), feather=1 / 32)
    assert mattes.shape == (6, 1, SIDE, SIDE)
    assert mattes.min() == 0
    assert mattes.max() == 1
    soft = (mattes > 0) & (mattes < 1)
    assert soft[0, 0, 32, 8:17].tolist() == [True] * 8 + [False]
    assert 0.02 < soft.float().mean() < 0.3
    hard = soft_mattes(pictures(), feather=0)
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert hard[0, 0, 16:48, 12:36].all()


def test_the_same_seed_makes_the_same_pairs():
    images, subjects = pictures(), torch.arange(6).repeat(4)
    first, again, other = (pair_subjects(images, subjects, generator(s)) for s in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.sources, again.sources)
    assert not torch.equal(first.sources, other.sources)

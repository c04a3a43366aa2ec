"""DINO's loss against a slow formula, and its two forces against collapse."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from attribution.training.losses.distillation import dino_loss, next_centre


def logits(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow(student, teacher, centre, student_temperature, teacher_temperature):
    values = []
    for t, s in itertools.product(range(len(teacher)), range(len(student))):
        if t == s:
            continue
        for i in range(student.shape[1]):
            target = softmax((teacher[t, i] - centre) / teacher_temperature)
            values.append(-np.sum(target * log_softmax(student[s, i] / student_temperature)))
    return np.mean(values)


@pytest.mark.parametrize(("crops", "seen"), [(2, 1), (2, 2), (3, 2), (8, 2)])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("temperatures", [(0.1, 0.04), (1.0, 0.5)])
def test_the_loss_equals_the_slow_formula(crops, seen, n, temperatures):
    student, teacher = logits(crops, n, 7, seed=1), logits(seen, n, 7, seed=2)
    centre = logits(7, seed=3)
    loss = dino_loss(
        student, teacher, centre,
        student_temperature=temperatures[0], teacher_temperature=temperatures[1],
    )  # fmt: skip
    expected = slow(student.numpy(), teacher.numpy(), centre.numpy(), *temperatures)
    assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_the_gradient_is_the_numerical_one_and_only_the_students():
    student = logits(3, 2, 4, seed=1).requires_grad_()
    teacher = logits(2, 2, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda rows: dino_loss(rows, teacher, torch.zeros(4), student_temperature=0.5), (student,)
    )
    dino_loss(student, teacher, torch.zeros(4)).backward()
    assert teacher.grad is None


def test_views_that_no_one_compares_are_refused():
    centre = torch.zeros(4)
    for crops, seen in ((1, 1), (2, 3), (0, 0)):
        with pytest.raises(ValueError, match="unlike crops"):
            dino_loss(logits(crops, 2, 4, seed=1), logits(seen, 2, 4, seed=2), centre)


def test_the_centre_is_a_moving_average_that_shares_of_a_batch_average_to():
    centre, teacher = logits(5, seed=1), logits(2, 6, 5, seed=2)
    whole = next_centre(centre, teacher, momentum=0.8)
    expected = 0.8 * centre.numpy() + 0.2 * teacher.numpy().reshape(-1, 5).mean(axis=0)
    assert np.allclose(whole.numpy(), expected)
    halves = [next_centre(centre, part, momentum=0.8) for part in teacher.split(3, dim=1)]
    assert torch.allclose((halves[0] + halves[1]) / 2, whole)


def test_centring_takes_away_what_all_images_share():
    teacher = logits(2, 6, 5, seed=2)
    teacher[..., 3] += 50  # one prototype for everything
    student = logits(2, 6, 5, seed=3).requires_grad_()
    centre = torch.zeros(5, dtype=torch.float64)
    for _ in range(200):
        centre = next_centre(centre, teacher)
    chosen = ((teacher - centre) / 0.04).softmax(dim=-1).mean(dim=(0, 1))
    assert chosen.max() < 0.8
    assert dino_loss(student, teacher, centre).isfinite()

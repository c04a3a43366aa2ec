"""The teacher is the running average of its student."""

import copy

import pytest
import torch

from attribution.training.objective.teacher import update_teacher


def network():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def test_the_teacher_is_the_weighted_sum_of_past_students():
    torch.manual_seed(0)
    student = network()
    teacher = copy.deepcopy(student).requires_grad_(requires_grad=False)
    expected = student[0].weight.detach().clone()
    for momentum in (0.9, 0.5, 1.0, 0.0, 0.99):
        with torch.no_grad():
            student[0].weight.add_(torch.randn(4, 3))
        update_teacher(teacher, student, momentum)
        expected = momentum * expected + (1 - momentum) * student[0].weight.detach()
        assert torch.allclose(teacher[0].weight, expected, atol=1e-6)
    assert not teacher[0].weight.requires_grad


def test_the_teacher_keeps_batch_statistics_of_its_own():
    student = network()
    teacher = copy.deepcopy(student)
    student(torch.randn(8, 3))
    update_teacher(teacher, student, 0.5)
    assert torch.equal(teacher[1].running_mean, torch.zeros(4))


def test_a_teacher_of_another_structure_is_refused():
    with pytest.raises(ValueError, match="deepcopy"):
        update_teacher(torch.nn.Linear(3, 4), network(), 0.9)

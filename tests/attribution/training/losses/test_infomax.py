"""Losses against slow independent formulas over a grid, and against numerical gradients."""

import math

import numpy as np
import pytest
import torch

from attribution.training.losses.contrast import contrastive
from attribution.training.losses.information import RecentRows, effective_rank, log_determinant


def unit_rows(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1)


def slow_contrastive(queries, keys, positives, temperature, excluded, decoupled):
    total = 0.0
    for i in range(len(queries)):
        positive = float(np.dot(queries[i], keys[positives[i]])) / temperature
        denominator = 0.0
        for j in range(len(keys)):
            if j == positives[i]:
                denominator += 0.0 if decoupled else math.exp(positive)
            elif excluded is None or not excluded[i][j]:
                denominator += math.exp(float(np.dot(queries[i], keys[j])) / temperature)
        total += math.log(denominator) - positive
    return total / len(queries)


@pytest.mark.parametrize("n", [2, 5, 9])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("with_excluded", [False, True])
def test_contrastive_equals_the_slow_formula(n, temperature, decoupled, with_excluded):
    queries, keys = unit_rows(n, 6, n), unit_rows(2 * n, 6, n + 100)
    positives = torch.randperm(2 * n, generator=torch.Generator().manual_seed(n))[:n]
    excluded = None
    if with_excluded:
        excluded = torch.rand(n, 2 * n, generator=torch.Generator().manual_seed(n)) < 0.3
    loss = contrastive(
        queries, keys, positives, temperature=temperature, excluded=excluded, decoupled=decoupled
    )
    slow = slow_contrastive(
        queries.numpy(), keys.numpy(), positives.tolist(), temperature,
        None if excluded is None else excluded.tolist(), decoupled,
    )  # fmt: skip
    assert float(loss) == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize("decoupled", [False, True])
def test_contrastive_gradient_is_the_numerical_one(decoupled):
    keys, positives = unit_rows(7, 4, 1), torch.tensor([2, 0, 5])
    queries = unit_rows(3, 4, 2).requires_grad_()

    def loss(rows):
        return contrastive(rows, keys, positives, temperature=0.2, decoupled=decoupled)

    assert torch.autograd.gradcheck(loss, (queries,))


def test_contrastive_is_smaller_when_the_positive_is_nearer():
    keys = torch.eye(4, dtype=torch.float64)
    near = contrastive(keys, keys, torch.arange(4), temperature=0.2)
    far = contrastive(keys, keys, torch.tensor([1, 2, 3, 0]), temperature=0.2)
    assert near < far


@pytest.mark.parametrize(("n", "d"), [(50, 4), (200, 16), (10, 16)])
def test_log_determinant_equals_the_eigenvalue_formula(n, d):
    rows = unit_rows(n, d, d)
    centred = rows.numpy() - rows.numpy().mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(centred.T @ centred * d / n)
    slow = -np.mean(np.log(np.clip(eigenvalues, 0, None) + 1e-4))
    assert float(log_determinant(rows)) == pytest.approx(slow, rel=1e-6)


def test_log_determinant_gradient_is_the_numerical_one():
    rows = unit_rows(12, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(log_determinant, (rows,))


def test_log_determinant_prefers_spread_rows():
    spread = unit_rows(500, 8, 3)
    narrow = spread.clone()
    narrow[:, 4:] *= 0.01
    narrow = torch.nn.functional.normalize(narrow, dim=1)
    assert log_determinant(spread) < 0.1 < log_determinant(narrow)


def test_effective_rank_counts_directions():
    flat = torch.zeros(300, 10, dtype=torch.float64)
    flat[:, :3] = unit_rows(300, 3, 7)
    assert effective_rank(flat) == pytest.approx(3, abs=0.1)


def test_recent_rows_keep_the_last_batches_without_their_gradient():
    recent = RecentRows(3)
    batches = [torch.full((2, 1), float(i), requires_grad=True) for i in range(4)]
    for batch in batches:
        joined, count = recent.join(batch)
    assert count == 3
    assert joined.flatten().tolist() == [3.0, 3.0, 1.0, 1.0, 2.0, 2.0]
    joined.sum().backward()
    assert batches[3].grad is not None
    assert batches[1].grad is None

"""Contrastive losses against slow formulas over a grid, and against numerical gradients."""

import math

import numpy as np
import pytest
import torch

from attribution.training.losses.contrast import (
    contrastive,
    momentum_contrastive,
    multi_positive,
    nt_xent,
)
from tests.support.tensors import unit_rows


def positives_of(n, m, p, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(m, generator=generator)[:p] for _ in range(n)])


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


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("decoupled", [False, True])
def test_nt_xent_is_the_slow_formula_of_both_views_together(n, decoupled):
    rows = torch.cat([unit_rows(n, 6, 1), unit_rows(n, 6, 2)])
    partners, itself = [(i + n) % (2 * n) for i in range(2 * n)], np.eye(2 * n, dtype=bool)
    loss = nt_xent(rows[:n], rows[n:], temperature=0.3, decoupled=decoupled)
    slow = slow_contrastive(rows.numpy(), rows.numpy(), partners, 0.3, itself, decoupled)
    assert float(loss) == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("decoupled", [False, True])
def test_multi_positive_is_the_average_of_its_terms(p, temperature, decoupled):
    queries, keys, positives = unit_rows(5, 6, 1), unit_rows(12, 6, 2), positives_of(5, 12, p)
    loss = multi_positive(queries, keys, positives, temperature=temperature, decoupled=decoupled)
    others = torch.zeros(5, 12, dtype=torch.bool)
    others[torch.arange(5)[:, None], positives] = True
    terms = [
        contrastive(
            queries, keys, positives[:, column], temperature=temperature, excluded=others,
            decoupled=decoupled,
        )
        for column in range(p)
    ]  # fmt: skip
    assert float(loss) == pytest.approx(float(sum(terms)) / p, rel=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
def test_multi_positive_equals_the_slow_formula(decoupled):
    queries, keys, positives = unit_rows(4, 3, 5), unit_rows(7, 3, 6), positives_of(4, 7, 2)
    scores = np.exp(queries.numpy() @ keys.numpy().T / 0.3)
    total = 0.0
    for i, row in enumerate(positives.tolist()):
        negative = sum(scores[i, j] for j in range(7) if j not in row)
        for j in row:
            total += math.log((negative + (not decoupled) * scores[i, j]) / scores[i, j])
    loss = multi_positive(queries, keys, positives, temperature=0.3, decoupled=decoupled)
    assert float(loss) == pytest.approx(total / 8, rel=1e-12)


def test_a_repeated_positive_counts_as_one():
    queries, keys, single = unit_rows(4, 3, 5), unit_rows(7, 3, 6), positives_of(4, 7, 1)
    twice = multi_positive(queries, keys, single.repeat(1, 2), temperature=0.3)
    assert float(twice) == pytest.approx(float(contrastive(queries, keys, single[:, 0],
                                                           temperature=0.3)))  # fmt: skip


def test_one_positive_cannot_stand_for_the_other():
    keys = torch.eye(4, dtype=torch.float64)
    pairs = torch.tensor([[0, 1]])
    between = torch.nn.functional.normalize(keys[:1] + keys[1:2], dim=1)
    on_one = keys[:1]
    both = multi_positive(between, keys, pairs, temperature=0.2)
    assert both < multi_positive(on_one, keys, pairs, temperature=0.2)


@pytest.mark.parametrize("m", [1, 4, 30])
@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("decoupled", [False, True])
def test_momentum_contrastive_equals_the_slow_formula(m, temperature, decoupled):
    queries, keys, queue = unit_rows(6, 5, 1), unit_rows(6, 5, 2), unit_rows(m, 5, m)
    total = 0.0
    for query, key in zip(queries.numpy(), keys.numpy(), strict=True):
        positive = math.exp(query @ key / temperature)
        negative = sum(math.exp(query @ past / temperature) for past in queue.numpy())
        total += math.log((negative + (not decoupled) * positive) / positive)
    loss = momentum_contrastive(queries, keys, queue, temperature=temperature, decoupled=decoupled)
    assert float(loss) == pytest.approx(total / 6, rel=1e-9)


@pytest.mark.parametrize("decoupled", [False, True])
def test_gradients_are_the_numerical_ones(decoupled):
    queries = unit_rows(3, 4, 2).requires_grad_()
    keys, queue, positives = unit_rows(3, 4, 3), unit_rows(7, 4, 1), positives_of(3, 7, 2)

    def with_queue(rows):
        return momentum_contrastive(rows, keys, queue, temperature=0.2, decoupled=decoupled)

    def with_several(rows):
        return multi_positive(rows, queue, positives, temperature=0.2, decoupled=decoupled)

    assert torch.autograd.gradcheck(with_queue, (queries,))
    assert torch.autograd.gradcheck(with_several, (queries,))

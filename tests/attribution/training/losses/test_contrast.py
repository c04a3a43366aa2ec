"""Several positives and MoCo's queue against slow formulas; `contrastive` is in test_losses."""

import math

import numpy as np
import pytest
import torch

from attribution.training.losses.contrast import (
    KeyQueue,
    contrastive,
    momentum_contrastive,
    multi_positive,
)


def unit_rows(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1)


def positives_of(n, m, p, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(m, generator=generator)[:p] for _ in range(n)])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("with_excluded", [False, True])
def test_multi_positive_is_the_average_of_its_terms(p, temperature, decoupled, with_excluded):
    queries, keys, positives = unit_rows(5, 6, 1), unit_rows(12, 6, 2), positives_of(5, 12, p)
    excluded = torch.zeros(5, 12, dtype=torch.bool)
    if with_excluded:
        excluded = torch.rand(5, 12, generator=torch.Generator().manual_seed(3)) < 0.3
    loss = multi_positive(
        queries, keys, positives, temperature=temperature,
        excluded=excluded if with_excluded else None, decoupled=decoupled,
    )  # fmt: skip
    others = excluded.clone()
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


@pytest.mark.parametrize("batch", [1, 3, 5, 8, 13])
def test_the_queue_holds_the_newest_keys(batch):
    queue, pushed = KeyQueue(8, 2), []
    for step in range(7):
        keys = torch.arange(batch, dtype=torch.float32)[:, None].repeat(1, 2) + 100 * (step + 1)
        queue.push(keys)
        pushed += keys[:, 0].tolist()
        held = sorted(value for value in queue.rows[:, 0].tolist() if value >= 100)
        assert held == pushed[-8:]


def test_a_restored_queue_goes_on_alike():
    torch.manual_seed(0)
    queue, restored = KeyQueue(5, 3), KeyQueue(5, 3)
    queue.push(torch.ones(3, 3))
    restored.load_state_dict(queue.state_dict())
    for each in (queue, restored):
        each.push(torch.full((4, 3), 2.0))
    assert torch.equal(queue.rows, restored.rows)
    assert int(queue.next) == int(restored.next) == 2


def test_a_push_does_not_disturb_a_loss_that_waits_for_its_gradient():
    queue, queries = KeyQueue(6, 4).double(), unit_rows(3, 4, 1).requires_grad_()
    loss = momentum_contrastive(queries, unit_rows(3, 4, 2), queue.rows, temperature=0.2)
    [wanted] = torch.autograd.grad(loss, queries, retain_graph=True)
    queue.push(unit_rows(3, 4, 3).requires_grad_())
    loss.backward()
    assert torch.equal(queries.grad, wanted)
    assert not queue.rows.requires_grad


def test_an_empty_queue_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        KeyQueue(0, 4)

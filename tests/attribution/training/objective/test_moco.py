"""MoCo's queue keeps the newest keys; the alignment itself is in test_objective."""

import pytest
import torch

from attribution.training.losses.contrast import momentum_contrastive
from attribution.training.objective.moco import KeyQueue
from tests.support.tensors import unit_rows


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

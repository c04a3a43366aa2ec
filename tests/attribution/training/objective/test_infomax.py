"""The rows that an Infomax term remembers."""

import torch

from attribution.training.objective.infomax import LogDeterminant


def test_recent_rows_keep_the_last_batches_without_their_gradient():
    recent = LogDeterminant(3)
    batches = [torch.full((2, 1), float(i), requires_grad=True) for i in range(4)]
    for batch in batches:
        joined, count = recent.join(batch)
    assert count == 3
    assert joined.flatten().tolist() == [3.0, 3.0, 1.0, 1.0, 2.0, 2.0]
    joined.sum().backward()
    assert batches[3].grad is not None
    assert batches[1].grad is None

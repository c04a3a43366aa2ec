"""The optimiser takes the steps of the paper's algorithm, and goes on from a state."""

import numpy as np
import pytest
import torch
from torch import nn

from models.adamw import AdamW


def slow_adamw(weight, gradients, rates, decay, betas=(0.9, 0.999), epsilon=1e-8):
    """Loshchilov and Hutter, 2019, algorithm 2, in float64."""
    first = second = np.zeros_like(weight)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        unbiased = first / (1 - betas[0] ** step), second / (1 - betas[1] ** step)
        weight = weight - rate * decay * weight
        weight = weight - rate * unbiased[0] / (np.sqrt(unbiased[1]) + epsilon)
    return weight


@pytest.mark.parametrize("resumed_after", [None, 3])
def test_it_equals_the_slow_formula(resumed_after):
    draw = np.random.default_rng(0)
    starts, gradients = draw.normal(size=(2, 5)), draw.normal(size=(7, 2, 5))
    weights = [nn.Parameter(torch.from_numpy(start.copy())) for start in starts]
    decays = (0.01, 0.3)

    def begin():
        optimizer = AdamW([weights[0]], lr=0.1)
        optimizer.add_param_group({"params": [weights[1]], "weight_decay": decays[1]})
        return optimizer

    optimizer = begin()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (step + 1))
    for step, each in enumerate(gradients):
        if step == resumed_after:
            kept = optimizer.state_dict()
            optimizer = schedule.optimizer = begin()
            optimizer.load_state_dict(kept)
        optimizer.zero_grad()
        assert all(weight.grad is None for weight in weights)
        for weight, gradient in zip(weights, each, strict=True):
            weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        schedule.step()
    rates = [0.1 / (step + 1) for step in range(len(gradients))]
    for weight, start, own, decay in zip(
        weights, starts, gradients.swapaxes(0, 1), decays, strict=True
    ):
        expected = slow_adamw(start, own, rates, decay)
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-10)

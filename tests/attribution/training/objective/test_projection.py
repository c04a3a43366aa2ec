"""Logits of prototypes are cosines, whatever the scale of weights."""

import torch

from attribution.training.objective.projection import PrototypeHead


def head():
    torch.manual_seed(0)
    return PrototypeHead(6, 10, hidden=16, bottleneck=5).double()


def test_logits_are_the_cosines_to_the_prototypes():
    net, x = head(), torch.randn(2, 4, 6, dtype=torch.float64)
    logits = net(x)
    assert logits.shape == (2, 4, 10)
    hidden = net.layers(x)
    for prototype, column in zip(net.prototypes.weight, logits.unbind(-1), strict=True):
        cosine = torch.cosine_similarity(hidden, prototype.expand_as(hidden), dim=-1)
        assert torch.allclose(column, cosine)


def test_only_the_direction_of_a_prototype_counts():
    net, x = head(), torch.randn(4, 6, dtype=torch.float64)
    before = net(x)
    with torch.no_grad():
        net.prototypes.weight.mul_(torch.rand(10, 1, dtype=torch.float64) + 0.5)
    assert torch.allclose(net(x), before)


def test_every_weight_learns():
    net = head()
    net(torch.randn(4, 6, dtype=torch.float64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())

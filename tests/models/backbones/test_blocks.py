"""A network in two halves describes as it does whole, and its blocks are all that learns."""

import pytest
import torch

from tests.support.tiny_backbones import TINY, tiny


@pytest.mark.parametrize("kind", TINY)
def test_blocks_hold_every_parameter_once_from_input_to_output(kind):
    net = tiny(kind)
    held = [
        parameter
        for block in net.blocks_of_network()
        for owned in (block.parameters, *(module.parameters() for module in block.modules))
        for parameter in owned
    ]
    assert len(held) == len({id(each) for each in held})
    assert {id(each) for each in held} == {id(each) for each in net.parameters()}
    counts = {"residual": 6, "resnet": 5, "sscd": 5}
    assert len(net.blocks_of_network()) == counts.get(kind, 3)


@pytest.mark.parametrize("kind", TINY)
def test_two_halves_are_the_whole_wherever_it_is_cut(kind):
    net = tiny(kind)
    with torch.no_grad():
        for parameter in net.parameters():  # so that no block is the identity
            parameter.add_(0.1 * torch.randn_like(parameter))
    side = net.local_side(64)
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        whole = net.learnt(images)
        blocks = len(net.blocks_of_network())
        for cut in range(1, blocks + 1):
            begun = net.begun(images, cut)
            half = net.finished(begun, cut)
            assert torch.allclose(half.pooled, whole.pooled, atol=1e-5), cut
            assert torch.allclose(half.patches, whole.patches, atol=1e-4), cut


@pytest.mark.parametrize("kind", TINY)
def test_the_descriptor_alone_has_the_values_and_gradients_of_both(kind):
    net = tiny(kind)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    side = net.local_side(64)
    images, blocks = torch.rand(2, 3, side, side), len(net.blocks_of_network())
    for cut in (1, blocks - 1, blocks):
        begun = net.begun(images, cut).detach().requires_grad_()
        found = [
            (pooled, *torch.autograd.grad(pooled.square().sum(), begun))
            for pooled in (net.finished(begun, cut).pooled, net.finished_pooled(begun, cut))
        ]
        for expected, measured in zip(*found, strict=True):
            assert torch.allclose(measured, expected, atol=1e-5, rtol=1e-4), cut


def test_columns_by_what_they_are_compared_in():
    residual = tiny("residual").projections
    assert list(residual) == ["semantics", "structure", "appearance"]
    assert residual["semantics"] == slice(0, 32)
    assert tiny("vit").projections == {"semantics": slice(0, 32)}


@pytest.mark.parametrize(("kind", "side"), [("vit", 48), ("registers", 56), ("resnet", 60)])
def test_a_side_is_rounded_down_to_what_the_network_cuts(kind, side):
    net = tiny(kind)
    assert net.local_side(60) == side
    assert net.local_side(3) == max(3, net.multiple)

"""Statistics measured again are those of the images, but for what is frozen."""

import pytest
import torch

from attribution.training.data.images import ImageSet
from attribution.training.run.batch_norm import estimate_again
from models.images.preprocessing import Preprocessing
from tests.support.tiny_backbones import tiny

SHAPE = Preprocessing(64, 64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


def images(n=12):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, 3, 64, 64), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, tuple(map(str, range(n))))


def test_they_are_the_moments_of_what_a_layer_sees():
    net = tiny("residual")
    estimate_again(net, images(), SHAPE, "full")
    entry, norm = net.stages[0][0], net.stages[0][1]
    pixels = SHAPE.scaled(images().pixels.float() / 255)
    with torch.no_grad():
        seen = entry(pixels).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, seen.mean(dim=1), atol=1e-5)
    assert torch.allclose(norm.running_var, seen.var(dim=1), rtol=1e-4)
    assert norm.momentum == 0.1
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize(("kind", "frozen"), [("residual", 4), ("resnet", 3)])
def test_those_of_frozen_blocks_stay(kind, frozen):
    net, before = tiny(kind), tiny(kind)
    estimate_again(net, images(), SHAPE, "last-2")
    for number, (block, old) in enumerate(
        zip(net.blocks_of_network(), before.blocks_of_network(), strict=True)
    ):
        same = [
            torch.equal(value, former)
            for module, other in zip(block.modules, old.modules, strict=True)
            for value, former in zip(module.buffers(), other.buffers(), strict=True)
        ]
        assert all(same) == (number < frozen), number


def test_a_network_without_batch_norm_is_left_alone():
    net = tiny("vit")
    estimate_again(net, images(), SHAPE, "full")
    wanted = tiny("vit").state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in net.state_dict().items())

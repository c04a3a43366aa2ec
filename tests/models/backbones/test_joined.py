"""Two networks as one: each sees what it would see alone, and its columns are where they were."""

import numpy as np
import torch
from torch.nn import functional

from models.backbones.features import Backbone, Features
from models.backbones.joined import Joined
from tests.support.encoders import trained_network

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.5)


class Corners(Backbone):
    """The brightness of four quarters."""

    dimension = patch_dimension = 4

    def forward(self, images: torch.Tensor) -> Features:
        assert images.min() >= -1e-6
        assert images.max() <= 1 + 1e-6
        quarters = functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), 2).flatten(1)
        return Features(quarters, quarters[:, :, None, None])


def joined() -> Joined:
    return Joined(trained_network(), Corners(), "corners", mean=MEAN, std=STD).eval()


def images(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """In [0, 1], and normalised."""
    plain = torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return plain, (plain - mean) / std


@torch.inference_mode()
def test_the_descriptor_is_both_side_by_side():
    net, (plain, normalised) = joined(), images()
    found = net(normalised)
    width = net.first.dimension
    assert torch.equal(found.pooled[:, :width], net.first(normalised).pooled)
    torch.testing.assert_close(found.pooled[:, width:], Corners()(plain).pooled)
    *own, last = net.blocks_of_descriptor
    assert own == list(net.first.blocks_of_descriptor)
    assert (last.name, last.start, last.stop) == ("corners", width, net.dimension)
    assert torch.equal(net.patch_map(normalised), net.first.patch_map(normalised))


@torch.inference_mode()
def test_what_is_learnt_and_measured_make_the_descriptor_of_both_views():
    net, (_, normalised) = joined(), images()
    learnt = [net.learnt(each).pooled for each in (normalised, normalised.flip(-1))]
    rows = torch.cat([torch.cat(learnt), net.measured(normalised, 2)], dim=1)
    expected = torch.cat([net(each).pooled for each in (normalised, normalised.flip(-1))])
    torch.testing.assert_close(rows, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net.measured(normalised), net.measured(normalised, 2)[:3])


@torch.inference_mode()
def test_folding_changes_no_row():
    net, (_, normalised) = joined(), images()
    folded = net.folded()
    assert folded.blocks_of_descriptor == net.blocks_of_descriptor
    np.testing.assert_allclose(folded(normalised).pooled, net(normalised).pooled, atol=1e-5)

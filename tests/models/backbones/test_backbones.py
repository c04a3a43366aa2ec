"""Shapes, tokens and sizes of the networks behind the registry's names."""

import pytest
import torch

from models.backbones.resnet import ResNet50
from models.backbones.vit import VisionTransformer

TINY = {"depth": 1}


@pytest.mark.parametrize(
    ("architecture", "size", "grid", "prefix"),
    [
        ("vit_small_patch16_224", (64, 96), (4, 6), 1),
        ("vit_small_patch14_dinov2", (56, 42), (4, 3), 1),
        ("vit_small_patch14_reg4_dinov2", (56, 42), (4, 3), 5),
        ("vit_small_patch16_dinov3", (64, 32), (4, 2), 5),
    ],
)
def test_vit_takes_class_token_and_skips_registers(architecture, size, grid, prefix):
    torch.manual_seed(0)
    backbone = VisionTransformer(architecture, **TINY).eval()
    images = torch.randn(2, 3, *size)
    with torch.inference_mode():
        features = backbone(images)
        tokens = backbone.network.forward_features(images)
    assert backbone.dimension == backbone.patch_dimension == 384
    assert features.pooled.shape == (2, 384)
    assert features.patches.shape == (2, 384, *grid)
    assert tokens.shape[1] == prefix + grid[0] * grid[1]
    assert torch.equal(features.pooled, tokens[:, 0])
    row, column = 1, grid[1] - 1
    flat = prefix + row * grid[1] + column
    assert torch.equal(features.patches[:, :, row, column], tokens[:, flat])


def test_vit_tokens_are_normalised():
    torch.manual_seed(0)
    features = VisionTransformer("vit_small_patch16_224", **TINY).eval()(torch.randn(1, 3, 64, 64))
    # a fresh LayerNorm has unit weight and no bias, so what leaves it has zero mean, unit variance
    for tokens in (features.pooled, features.patches.flatten(2)[..., 3]):
        assert tokens.mean().item() == pytest.approx(0, abs=1e-4)
        assert tokens.var(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_vit_says_which_sizes_it_takes():
    backbone = VisionTransformer("vit_small_patch16_224", **TINY)
    with pytest.raises(ValueError, match="multiple of 16"):
        backbone(torch.zeros(1, 3, 64, 70))


def test_resnet_pools_its_last_map():
    torch.manual_seed(0)
    backbone = ResNet50().eval()
    with torch.inference_mode():
        features = backbone(torch.randn(2, 3, 64, 96))
    assert backbone.dimension == backbone.patch_dimension == 2048
    assert features.patches.shape == (2, 2048, 2, 3)
    assert torch.allclose(features.pooled, features.patches.mean(dim=(2, 3)))

"""Networks like the published ones, so small that training takes a moment."""

from collections.abc import Callable

import torch

from models.backbones.features import Backbone
from models.backbones.residual import ResidualNet
from models.backbones.resnet import ResNet50
from models.backbones.vit import VisionTransformer

VIT = {"depth": 3, "embed_dim": 32, "num_heads": 2}
RESNET = {"layers": (1, 1, 1, 1), "channels": (4, 8, 8, 16), "stem_width": 4}

TINY: dict[str, Callable[[], Backbone]] = {
    "residual": lambda: ResidualNet((8, 16, 16, 32), (0, 1, 0, 1)),
    "vit": lambda: VisionTransformer("vit_small_patch16_224", **VIT),
    "registers": lambda: VisionTransformer("vit_small_patch14_reg4_dinov2", **VIT),
    "rope": lambda: VisionTransformer("vit_small_patch16_dinov3", **VIT),
    "resnet": lambda: ResNet50(**RESNET),
}


def tiny(kind: str, seed: int = 0) -> Backbone:
    """A network of random weights, in evaluation mode."""
    torch.manual_seed(seed)
    return TINY[kind]().eval()

"""The precision in which a network is applied and its gradients scaled; knows no loss."""

from __future__ import annotations

import torch
from torch import Tensor

from attribution.training.recipe.config import TrainingConfig
from models.backbones.residual import ResidualNet


class Precision:
    """Applies networks in float32, or in the GPU's half precision with float32 results.

    bfloat16 where the GPU has it; otherwise float16, whose small gradients need scaling.

    Args:
        config: the recipe.
        device: of the networks.
    """

    def __init__(self, config: TrainingConfig, device: str) -> None:
        self._kind = torch.device(device).type
        self._mixed = config.precision == "mixed"
        short = self._mixed and self._kind == "cuda" and not torch.cuda.is_bf16_supported()
        self._half = torch.float16 if short else torch.bfloat16
        self.scaler = torch.amp.GradScaler(self._kind, enabled=short)

    def describe(self, net: ResidualNet, images: Tensor) -> Tensor:
        """Learnt descriptors of `(n, 3, s, s)` images in [0, 1], in no less than float32."""
        with torch.autocast(self._kind, self._half, enabled=self._mixed):
            return describe_as_weighed(net, images)


def describe_as_weighed(net: ResidualNet, images: Tensor) -> Tensor:
    """Learnt descriptors of `(n, 3, s, s)` images in [0, 1], in the precision of the weights."""
    wide = next(net.parameters()).dtype
    scaled = images.sub(0.5).div_(0.25).to(wide, memory_format=torch.channels_last)
    return net.learnt(scaled).pooled.to(wide)

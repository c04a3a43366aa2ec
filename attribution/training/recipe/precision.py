"""The precision in which a network is applied and its gradients scaled; knows no loss."""

from __future__ import annotations

import torch
from torch import Tensor

from attribution.training.recipe.config import TrainingConfig
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing


class Precision:
    """Applies networks in float32, or in the GPU's half precision with float32 results.

    bfloat16 where the GPU has it; otherwise float16, whose small gradients need scaling.

    Args:
        config: the recipe.
        device: of the networks.
        shape: by whose mean and deviation they see images.
        begun: blocks that what is described has been through already; 0 where it is images.
    """

    def __init__(
        self, config: TrainingConfig, device: str, shape: Preprocessing, *, begun: int = 0
    ) -> None:
        self._kind = torch.device(device).type
        self._mixed = config.precision == "mixed"
        short = self._mixed and self._kind == "cuda" and not torch.cuda.is_bf16_supported()
        self._half = torch.float16 if short else torch.bfloat16
        self._shape, self._begun = shape, begun
        self.scaler = torch.amp.GradScaler(self._kind, enabled=short)

    def describe(self, net: Backbone, views: Tensor) -> Tensor:
        """Learnt descriptors of `(n, 3, s, s)` images in [0, 1], in no less than float32.

        Or of what frozen blocks have made of them, as `Backbone.begun` gives it.
        """
        with torch.autocast(self._kind, self._half, enabled=self._mixed):
            if not self._begun:
                return describe_as_weighed(net, views, self._shape)
            wide = next(net.parameters()).dtype
            return net.finished_pooled(views.to(wide), self._begun).to(wide)


def describe_as_weighed(net: Backbone, images: Tensor, shape: Preprocessing) -> Tensor:
    """Learnt descriptors of `(n, 3, s, s)` images in [0, 1], in the precision of the weights."""
    pixels = _as_weighed(net, images, shape)
    return net.learnt(pixels).pooled.to(pixels.dtype)


def semantics_as_weighed(net: Backbone, images: Tensor, shape: Preprocessing) -> Tensor:
    """`Backbone.semantics` of `(n, 3, s, s)` images in [0, 1], in the precision of the weights."""
    pixels = _as_weighed(net, images, shape)
    return net.semantics(pixels).to(pixels.dtype)


def _as_weighed(net: Backbone, images: Tensor, shape: Preprocessing) -> Tensor:
    wide = next(net.parameters()).dtype
    return shape.scaled(images).to(wide, memory_format=torch.channels_last)

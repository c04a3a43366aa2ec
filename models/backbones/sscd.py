"""SSCD's network: ResNet-50, a generalised mean and a linear map (Pizzi et al., CVPR 2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone, Features

DIMENSION = 512
_POWER = 3.0  # of the generalised mean
_LEAST = 1e-6  # that an activation counts as
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SSCD(Backbone):
    r"""A self-supervised descriptor for image copy detection (arXiv:2202.10261).

    The last stage's map :math:`x` is pooled to :math:`(\frac{1}{hw} \sum x^3)^{1/3}` and mapped to
    512 values, which a head scales to unit length. `network` has the names of the authors' file.
    Takes images in [0, 1]: what normalises them is part of the network, as in the file that
    `models.published.packaged` runs.
    """

    network: Any  # timm is untyped

    def __init__(self) -> None:
        import timm  # noqa: PLC0415 (takes seconds)

        super().__init__()
        trunk: Any = timm.create_model("resnet50", pretrained=False, num_classes=0)
        width = int(trunk.num_features)
        self.network = nn.ModuleDict(
            {
                "backbone": trunk,
                "embeddings": nn.Sequential(_Pooling(), nn.Linear(width, DIMENSION)),
            }
        )
        self.dimension, self.patch_dimension = DIMENSION, width

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, 512)` and `(n, 2048, ceil(H / 32), ceil(W / 32))`."""
        mean = images.new_tensor(_MEAN)[:, None, None]
        deviation = images.new_tensor(_DEVIATION)[:, None, None]
        last: Tensor = self.network["backbone"].forward_features((images - mean) / deviation)
        return Features(pooled=self.network["embeddings"](last), patches=last)


class _Pooling(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        """`(n, c, h, w)` to `(n, c)`."""
        powers = features.clamp(min=_LEAST) ** _POWER
        pooled: Tensor = torch.mean(powers, dim=(2, 3)) ** (1 / _POWER)
        return pooled

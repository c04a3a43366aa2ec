"""SSCD's network: ResNet-50, a generalised mean and a linear map (Pizzi et al., CVPR 2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone, Block, Features
from models.backbones.resnet import ResNet50

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

    network: Any  # a ModuleDict, whose values torch does not type

    def __init__(self, **options: Any) -> None:
        super().__init__()
        trunk = ResNet50(**options)
        width = trunk.dimension
        self.network = nn.ModuleDict(
            {
                "backbone": trunk.network,
                "embeddings": nn.Sequential(_Pooling(), nn.Linear(width, DIMENSION)),
            }
        )
        self._trunk = [trunk]  # in a list, for its weights are in `network`
        self.dimension, self.patch_dimension = DIMENSION, width

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, 512)` and `(n, 2048, ceil(H / 32), ceil(W / 32))`."""
        return self._described(self.network["backbone"].forward_features(_normalised(images)))

    def blocks_of_network(self) -> tuple[Block, ...]:
        """Those of the ResNet, the map with the last."""
        *first, last = self._trunk[0].blocks_of_network()
        return (*first, Block((*last.modules, self.network["embeddings"])))

    def begun(self, images: Tensor, blocks: int) -> Tensor:
        """As of the ResNet."""
        return self._trunk[0].begun(_normalised(images), blocks)

    def finished(self, begun: Tensor, blocks: int) -> Features:
        """The rest of the stages and the map."""
        return self._described(self._trunk[0].finished(begun, blocks).patches)

    def _described(self, last: Tensor) -> Features:
        return Features(pooled=self.network["embeddings"](last), patches=last)


def _normalised(images: Tensor) -> Tensor:
    mean = images.new_tensor(_MEAN)[:, None, None]
    return (images - mean) / images.new_tensor(_DEVIATION)[:, None, None]


class _Pooling(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        """`(n, c, h, w)` to `(n, c)`."""
        powers = features.clamp(min=_LEAST) ** _POWER
        pooled: Tensor = torch.mean(powers, dim=(2, 3)) ** (1 / _POWER)
        return pooled
